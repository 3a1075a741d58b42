//! The settings of a token provider.

use crate::app::config::secret::Account;
use crate::io::cloud::Addresses;

/// The settings of a token provider.
#[derive(Debug)]
pub struct Settings {
    /// The addresses of the cloud.
    pub cloud: Addresses,
    /// The account of the operator.
    pub account: Account,
    /// `true` to renew short-lived tokens too (L8).
    pub renew_short_tokens: bool,
    /// `true` to keep a session for other gateways of the account (L7).
    pub several_gateways: bool,
}
