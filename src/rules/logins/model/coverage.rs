//! How often each case of the login promise was checked.

/// Counts of how often each case was checked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coverage {
    pub(super) logins: u64,
    pub(super) waits: u64,
    /// Tokens for another gateway than the one that the login was for.
    pub(super) shared: u64,
    /// Requests at the other token endpoint.
    pub(super) other_endpoint: u64,
    /// Sessions opened by a code.
    pub(super) codes: u64,
    /// Waits because three logins may have opened a session.
    pub(super) unclear: u64,
    /// Tokens expired by the clock that the gateway was asked about.
    pub(super) asked_first: u64,
    /// Requests on behalf of the operator.
    pub(super) requested: u64,
    /// First requests for a gateway while others were known.
    pub(super) newcomers: u64,
    /// Tokens that were written again from memory.
    pub(super) restored: u64,
    /// Stops during a request.
    pub(super) stops: u64,
}

impl Coverage {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            logins: self.logins + other.logins,
            waits: self.waits + other.waits,
            shared: self.shared + other.shared,
            other_endpoint: self.other_endpoint + other.other_endpoint,
            codes: self.codes + other.codes,
            unclear: self.unclear + other.unclear,
            asked_first: self.asked_first + other.asked_first,
            requested: self.requested + other.requested,
            newcomers: self.newcomers + other.newcomers,
            restored: self.restored + other.restored,
            stops: self.stops + other.stops,
        }
    }
}
