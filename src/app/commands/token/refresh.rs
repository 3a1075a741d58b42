//! `enphased token refresh`: a new token from the cloud, by the rules unless the operator insists.

use std::io::Write;

use super::super::failure::{Code, Failure};
use super::super::reach::Reached;
use super::super::{Context, PATIENCE};
use super::verify::verify;
use super::which::which;
use super::{Ask, code, heard};
use crate::app::config::secret::{Account, SecretSource};
use crate::app::token_provider::{Supply, Tended};
use crate::base::reading::Serial;
use crate::io::cloud::answer::Kind;
use crate::io::token::Token;
use crate::rules::logins::decision::{Decision, Stopped};
use crate::rules::logins::situation::Operator;

/// Fetches a new token from the cloud. The hold-offs are obeyed unless `force` is set.
pub async fn refresh(
    context: &mut Context,
    asked: Option<&Serial>,
    force: bool,
    ask: &mut dyn Ask,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let state = context.state()?;
    let (shared, mut reached) = (context.shared(&state), Reached::default());
    let mut supply = shared.supply.lock().await;
    let serial = which(context, asked, &state, &mut supply, &mut reached).await?;
    let heard = heard(context, &serial, &state, &mut reached).await;
    if force {
        writeln!(
            out,
            "The hold-offs are set aside. Each login takes one of the account's sessions, and nobody knows how many \
             there are: when they are used up, the account is locked for a day, for you and for the Enphase app."
        )?;
    }
    let operator = if force { Operator::Insists } else { Operator::Asks };
    supply.let_others_finish(PATIENCE).await?;
    let now = supply.consider(&serial, heard, operator).await?;
    let tended = match now {
        // Another process was faster: its token is the one that was asked for (L5).
        Decision::Rest => Tended::Left(now),
        Decision::Wait { .. } => return Err(held_off(&now)),
        Decision::Act { .. } | Decision::Stop(_) => {
            complete_account(&mut context.config.account, ask)?;
            supply.use_account(context.config.account.clone());
            let tended = supply.tend(&serial, heard, operator, PATIENCE).await?;
            if supply.is_challenged() {
                code::second_factor(&mut supply, &serial, heard, ask, out).await?;
                supply.tend(&serial, heard, operator, PATIENCE).await?
            } else {
                tended
            }
        }
    };
    let token = match tended {
        Tended::Arrived(token) => token,
        Tended::Left(Decision::Rest) => newest(&mut supply, &serial).await?,
        Tended::Left(decision) => return Err(held_off(&decision)),
        Tended::Failed { failure, next, .. } => {
            let code = match failure.kind {
                Kind::WrongCredentials | Kind::SecondFactor => Code::Refused,
                _ => Code::TryLater,
            };
            return Err(Failure::new(
                code,
                format!("the Enphase cloud gave no token: {failure}. Now {next}"),
            ));
        }
    };
    drop(supply);
    writeln!(out, "A new token arrived: {}, good until {:.0}.", token.role, token.expires_at)?;
    verify(context, reached, &token, &shared, out).await
}

/// The token that has come while this command waited.
async fn newest(supply: &mut Supply, serial: &Serial) -> Result<Token, Failure> {
    let tokens = supply.tokens(serial).await?;
    let newest = tokens.candidate.or(tokens.current).map(|kept| kept.token);
    newest.ok_or_else(|| Failure::new(Code::TryLater, "the new token was removed again; try once more"))
}

fn held_off(decision: &Decision) -> Failure {
    let message = match decision {
        Decision::Stop(Stopped::NoCredentials) => {
            "there is no username or password, and no terminal to ask for them: run this on a terminal, or write \
             them into the configuration"
                .to_owned()
        }
        Decision::Stop(stopped) => stopped.to_string(),
        other => format!("{other}. `--force` would try at once, and says what it risks"),
    };
    Failure::new(Code::of_decision(decision), message)
}

/// Asks for the half of the account that is not configured. The answers are not kept.
fn complete_account(account: &mut Account, ask: &mut dyn Ask) -> Result<(), Failure> {
    if account.username.is_none() {
        account.username = ask.line("E-mail address at enlighten.enphaseenergy.com: ");
    }
    if account.password.is_none() && account.username.is_some() {
        account.password = ask.hidden("Password (it is not shown, and not kept): ").map(SecretSource::Given);
    }
    match account.credentials() {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(held_off(&Decision::Stop(Stopped::NoCredentials))),
        Err(error) => Err(Failure::new(Code::Configuration, error.to_string())),
    }
}
