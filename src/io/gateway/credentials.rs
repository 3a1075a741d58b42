//! The credentials with which a gateway is read: a token, a password, or none.

use super::Error;
use super::digest::Digest;
use super::identify::Identified;
use super::info::Info;
use super::peer::{BoundSecret, Peer, Proof};
use super::session::Session;
use crate::base::secrets::Secret;
use crate::io::token::Token;

/// The credentials with which the pages of a gateway are read.
#[derive(Debug)]
pub(super) enum Credentials {
    /// Firmware 7 and later.
    Token(Session),
    /// Firmware before 7. `None` if even the standard password is unknown.
    Digest(Option<Digest>),
    /// Nothing may be read: another device responded, or a token is required and could be read on the network.
    Nothing,
}

impl Credentials {
    /// Returns the kind of credentials that `peer` needs. A token is never sent over a connection that others can read.
    pub(super) fn needed_by(info: &Info, peer: &Peer) -> Self {
        match peer.proof {
            _ if !info.needs_token() => Self::Digest(Digest::standard(info.serial.as_str())),
            Proof::Key(_) | Proof::Unproven => Self::Token(Session::default()),
            Proof::Clear => Self::Nothing,
        }
    }

    /// Binds the token to this gateway.
    pub(super) fn bind(&self, token: &Token, gateway: &Identified) -> Result<BoundSecret, Error> {
        let address = gateway.connection.location().address.to_string();
        if token.serial != gateway.peer.serial {
            let (serial, token) = (gateway.peer.serial.clone(), token.serial.clone());
            return Err(Error::ForeignToken { address, serial, token });
        }
        match self {
            Self::Token(_) => Ok(BoundSecret::new(bearer(&token.secret), &gateway.peer)),
            Self::Digest(_) | Self::Nothing => Err(Error::TokenUnwanted { address }),
        }
    }
}

fn bearer(token: &Secret) -> Secret {
    Secret::new(["Bearer ", token.expose()].concat())
}
