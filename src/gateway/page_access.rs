//! By what a gateway is read: a token, a password, or nothing.

use super::Error;
use super::digest::Digest;
use super::info::Info;
use super::peer::Bound;
use super::session::Session;
use super::sight::Sighted;
use crate::secrets::Secret;
use crate::token::Token;

/// By what its pages are read.
#[derive(Debug)]
pub(super) enum Access {
    /// Firmware 7 and later.
    Token(Session),
    /// Firmware before 7. `None` where even the standard password is not known.
    Digest(Option<Digest>),
    /// Somebody else answered: nothing is read any more.
    Nothing,
}

impl Access {
    /// What the gateway needs that says `info` of itself.
    pub(super) fn to(info: &Info) -> Self {
        if info.needs_token() {
            Self::Token(Session::default())
        } else {
            Self::Digest(Digest::standard(info.serial.as_str()))
        }
    }

    /// The token, for this gateway alone.
    pub(super) fn bound(&self, token: &Token, gateway: &Sighted) -> Result<Bound, Error> {
        let address = gateway.connection.place().address.to_string();
        if token.serial != gateway.peer.serial {
            let (serial, token) = (gateway.peer.serial.clone(), token.serial.clone());
            return Err(Error::ForeignToken { address, serial, token });
        }
        match self {
            Self::Token(_) => Ok(Bound::new(bearer(&token.secret), &gateway.peer)),
            Self::Digest(_) | Self::Nothing => Err(Error::TokenUnwanted { address }),
        }
    }
}

fn bearer(token: &Secret) -> Secret {
    Secret::new(["Bearer ", token.expose()].concat())
}
