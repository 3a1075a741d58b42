//! `enphased alerts test`: sends one test message, and says what the server returned.

use std::io::Write;

use super::Context;
use super::failure::{Code, Failure};
use crate::app::config::AlertFormat;
use crate::io::webhook::{self, Error};
use crate::output::alerts::{Format, test_message};

/// Sends one test message.
pub async fn test(context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(settings) = &context.config.alerts else {
        let message = "the configuration has no [alerts]: write it, with the url that receives the alerts; `enphased config \
                       example` shows it";
        return Err(Failure::new(Code::Configuration, message));
    };
    let format = match settings.format {
        AlertFormat::Text => Format::Text,
        AlertFormat::Json => Format::Json,
    };
    match webhook::send(&settings.address, &test_message(format), context.clock.now()).await {
        Ok(status) => {
            writeln!(
                out,
                "the server accepted the test message (HTTP {status}); look whether it has arrived"
            )?;
            Ok(())
        }
        Err(error) => Err(Failure::new(code(&error), format!("the test message was not delivered: {error}"))),
    }
}

const fn code(error: &Error) -> Code {
    match error {
        Error::Unreachable(_) | Error::TooMany(_) | Error::Failing(..) => Code::TryLater,
        Error::Untrusted(_) => Code::Unavailable,
        Error::Refused(_) => Code::Refused,
        Error::NotEncrypted | Error::Redirected(_) | Error::NotFound(_) | Error::Rejected(_) => {
            Code::Configuration
        }
    }
}
