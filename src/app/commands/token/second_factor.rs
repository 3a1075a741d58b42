//! The second factor of a login: one-time codes that a person types at the terminal.

use std::io::Write;

use super::super::LOGIN_LOCK_TIMEOUT;
use super::super::failure::{Code, Failure};
use super::Prompt;
use crate::app::token_provider::TokenProvider;
use crate::app::token_provider::second_factor::Entered;
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::rules::logins::clocks::GatewayTime;

const QUESTION: &str =
    "One-time code from e-mail, text message or app (not shown; press Enter to request another code): ";

/// Completes a login that waits for a code, with codes that a person types.
pub(super) async fn complete_login(
    token_provider: &mut TokenProvider,
    serial: &Serial,
    gateway_time: GatewayTime,
    prompt: &mut dyn Prompt,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    loop {
        let Some(typed) = prompt.code(QUESTION) else { return Err(no_terminal()) };
        let typed = without_blanks(&typed);
        // Without a code, another one is requested.
        let code = if typed.is_empty() { None } else { Some(&typed) };
        let entered = token_provider.answer_challenge(serial, gateway_time, code, LOGIN_LOCK_TIMEOUT).await?;
        match entered {
            Entered::LoggedIn => return Ok(()),
            Entered::Sent => writeln!(out, "Another code was sent.")?,
            Entered::Wrong(0) => return Err(refused()),
            Entered::Wrong(more) => {
                let times = if more == 1 { "once more" } else { "again" };
                writeln!(out, "Wrong code. You can try {times} in this login.")?;
            }
            Entered::NotSent(failure) => {
                writeln!(out, "No other code was sent: {failure}. The previous one may still arrive.")?;
            }
            Entered::NoMore => writeln!(out, "No more codes can be requested in this login.")?,
            Entered::Failed(failure) => {
                let message = format!("the Enphase cloud did not complete the login: {failure}");
                return Err(Failure::new(Code::TryLater, message));
            }
        }
    }
}

/// Removes blanks: codes are sent in groups of digits, and copied with the blanks between them.
fn without_blanks(typed: &Secret) -> Secret {
    Secret::new(typed.expose().chars().filter(|c| !c.is_whitespace()).collect())
}

fn no_terminal() -> Failure {
    Failure::new(
        Code::Refused,
        "the account requires a one-time code, and there is no terminal to type it: run `enphased token refresh` on a \
         terminal, or get a token at https://entrez.enphaseenergy.com and store it with `enphased token import`",
    )
}

fn refused() -> Failure {
    Failure::new(
        Code::Refused,
        "the Enphase cloud refused every code, and no more are tried in this login. Run `enphased token refresh` again \
         when you have a new code, or store a token with `enphased token import`",
    )
}
