//! By what a gateway is read: a token, a password, or nothing.

use super::Error;
use super::digest::Digest;
use super::info::Info;
use super::peer::{Bound, Peer, Proof};
use super::session::Session;
use super::sight::Sighted;
use crate::base::secrets::Secret;
use crate::io::token::Token;

/// By what its pages are read.
#[derive(Debug)]
pub(super) enum Access {
    /// Firmware 7 and later.
    Token(Session),
    /// Firmware before 7. `None` where even the standard password is not known.
    Digest(Option<Digest>),
    /// Somebody else answered, or a token is needed and could be read on the way: nothing is read.
    Nothing,
}

impl Access {
    /// What `peer` needs, which says `info` of itself. A token goes over no connection on which it could be read.
    pub(super) fn to(info: &Info, peer: &Peer) -> Self {
        match peer.proof {
            _ if !info.needs_token() => Self::Digest(Digest::standard(info.serial.as_str())),
            Proof::Key(_) | Proof::Unproven => Self::Token(Session::default()),
            Proof::Clear => Self::Nothing,
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
