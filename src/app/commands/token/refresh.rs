//! `enphased token refresh`: fetches a new token from the cloud.

use std::io::Write;

use super::super::failure::{Code, Failure};
use super::super::opened_gateways::OpenedGateways;
use super::super::{Context, LOGIN_LOCK_TIMEOUT};
use super::choose_gateway::choose_gateway;
use super::verify::verify;
use super::{Prompt, gateway_time, second_factor};
use crate::app::config::secret::{Account, SecretSource};
use crate::app::token_provider::{Outcome, TokenProvider};
use crate::base::reading::Serial;
use crate::io::cloud::Kind;
use crate::io::token::Token;
use crate::rules::logins::decision::{Decision, Stopped};
use crate::rules::logins::situation::Operator;

/// Fetches a new token from the cloud. Obeys the hold-offs unless `force` is set.
pub async fn refresh(
    context: &mut Context,
    wanted: Option<&Serial>,
    force: bool,
    prompt: &mut dyn Prompt,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let state = context.state()?;
    let (shared, mut opened) = (context.shared(&state), OpenedGateways::default());
    let mut token_provider = shared.token_provider.lock().await;
    let serial = choose_gateway(context, wanted, &state, &mut token_provider, &mut opened).await?;
    let gateway_time = gateway_time(context, &serial, &state, &mut opened).await;
    if force {
        writeln!(
            out,
            "The hold-offs are ignored. Each login uses one of the account's sessions, and their number is not known. \
             When they are used up, Enphase locks the account for a day, for you and for the Enphase app."
        )?;
    }
    let operator = if force { Operator::Insists } else { Operator::Asks };
    token_provider.wait_for_other_processes(LOGIN_LOCK_TIMEOUT).await?;
    let now = token_provider.consider(&serial, gateway_time, operator).await?;
    let outcome = match now {
        // Another process has just stored a new token (L5).
        Decision::Rest => Outcome::NothingSent(now),
        Decision::Wait { .. } => return Err(held_off(&now)),
        Decision::Act { .. } | Decision::Stop(_) => {
            complete_account(&mut context.config.account, prompt)?;
            token_provider.use_account(context.config.account.clone());
            let outcome =
                token_provider.ensure_token(&serial, gateway_time, operator, LOGIN_LOCK_TIMEOUT).await?;
            if token_provider.is_challenged() {
                second_factor::complete_login(&mut token_provider, &serial, gateway_time, prompt, out)
                    .await?;
                token_provider.ensure_token(&serial, gateway_time, operator, LOGIN_LOCK_TIMEOUT).await?
            } else {
                outcome
            }
        }
    };
    let token = match outcome {
        Outcome::Arrived(token) => token,
        Outcome::NothingSent(Decision::Rest) => newest(&mut token_provider, &serial).await?,
        Outcome::NothingSent(decision) => return Err(held_off(&decision)),
        Outcome::Failed { failure, next, .. } => {
            let code = match failure.kind {
                Kind::WrongCredentials | Kind::SecondFactor => Code::Refused,
                _ => Code::TryLater,
            };
            return Err(Failure::new(
                code,
                format!("the Enphase cloud issued no token: {failure}. Next: {next}"),
            ));
        }
    };
    drop(token_provider);
    writeln!(out, "A new token was stored: {}, valid until {:.0}.", token.role, token.expires_at)?;
    verify(context, opened, &token, &shared, out).await
}

/// Returns the token that another process stored while this command waited.
async fn newest(token_provider: &mut TokenProvider, serial: &Serial) -> Result<Token, Failure> {
    let tokens = token_provider.tokens(serial).await?;
    let newest = tokens.candidate.or(tokens.current).map(|kept| kept.token);
    newest.ok_or_else(|| Failure::new(Code::TryLater, "another process removed the new token; try again"))
}

fn held_off(decision: &Decision) -> Failure {
    let message = match decision {
        Decision::Stop(Stopped::NoCredentials) => {
            "username or password are not configured, and there is no terminal to type them: run this on a terminal, or \
             write them into the configuration"
                .to_owned()
        }
        Decision::Stop(stopped) => stopped.to_string(),
        other => format!("{other}. `--force` tries now, and explains the risk"),
    };
    Failure::new(Code::of_decision(decision), message)
}

/// Asks for the username or password that is not configured. The answers are not stored.
fn complete_account(account: &mut Account, prompt: &mut dyn Prompt) -> Result<(), Failure> {
    if account.username.is_none() {
        account.username = prompt.line("E-mail address at enlighten.enphaseenergy.com: ");
    }
    if account.password.is_none() && account.username.is_some() {
        account.password = prompt.hidden("Password (not shown, not stored): ").map(SecretSource::Given);
    }
    match account.credentials() {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(held_off(&Decision::Stop(Stopped::NoCredentials))),
        Err(error) => Err(Failure::new(Code::Configuration, error.to_string())),
    }
}
