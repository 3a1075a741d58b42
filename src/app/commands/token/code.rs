//! The code of a second factor, asked for at the terminal.

use std::io::Write;

use super::super::PATIENCE;
use super::super::failure::{Code, Failure};
use super::Ask;
use crate::app::token_provider::Supply;
use crate::app::token_provider::code::Entered;
use crate::base::reading::Serial;
use crate::base::secrets::Secret;
use crate::rules::logins::age::Heard;

const QUESTION: &str =
    "One-time code, by e-mail, message or app (it is not shown; an empty line asks for another): ";

/// Ends a login that waits for a code with those that a person types.
pub(super) async fn second_factor(
    supply: &mut Supply,
    serial: &Serial,
    heard: Heard,
    ask: &mut dyn Ask,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    loop {
        let Some(typed) = ask.code(QUESTION) else { return Err(nobody()) };
        let typed = without_blanks(&typed);
        let entered = if typed.is_empty() {
            supply.send_another_code(serial, heard, PATIENCE).await?
        } else {
            supply.enter_code(serial, heard, &typed, PATIENCE).await?
        };
        match entered {
            Entered::LoggedIn => return Ok(()),
            Entered::Sent => writeln!(out, "Another code is on its way.")?,
            Entered::Wrong(0) => return Err(refused()),
            Entered::Wrong(more) => {
                let times = if more == 1 { "once more" } else { "again" };
                writeln!(
                    out,
                    "That was not the code. It may be typed {times}; this is still the same login."
                )?;
            }
            Entered::NotSent(failure) => {
                writeln!(
                    out,
                    "No other code was sent: {failure}. The one that was sent before may still come."
                )?;
            }
            Entered::NoMore => writeln!(out, "No more codes are asked for in one login.")?,
            Entered::Failed(failure) => {
                let message = format!("the Enphase cloud did not end the login: {failure}");
                return Err(Failure::new(Code::TryLater, message));
            }
        }
    }
}

/// Codes are sent in groups, and copied so.
fn without_blanks(typed: &Secret) -> Secret {
    Secret::new(typed.expose().chars().filter(|c| !c.is_whitespace()).collect())
}

fn nobody() -> Failure {
    Failure::new(
        Code::Refused,
        "the account asks for a one-time code, and there is no terminal to ask for it: run `enphased token refresh` \
         on a terminal, or get a token at https://entrez.enphaseenergy.com and store it with `enphased token import`",
    )
}

fn refused() -> Failure {
    Failure::new(
        Code::Refused,
        "the Enphase cloud refused each of the codes, and no more are tried in this login. Run `enphased token \
         refresh` again when you have a fresh one, or bring a token with `enphased token import`",
    )
}
