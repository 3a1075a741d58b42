//! Slows down the guessing of tokens.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// The time after which wrong tokens are forgotten.
const WINDOW: Duration = Duration::from_secs(60);
/// The number of wrong tokens after which an address has to wait.
const MOST: u32 = 10;
/// The maximum number of addresses to remember. An attacker with more addresses could guess no better: a token has 128
/// random bits.
const ADDRESSES: usize = 1024;

/// The wrong tokens of each address within the last minute.
#[derive(Debug, Default)]
pub struct Guesses(HashMap<IpAddr, (Instant, u32)>);

impl Guesses {
    /// Returns the time for which `address` has to wait before its tokens are looked at again.
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let (since, count) = *self.0.get(&address)?;
        let left = (since + WINDOW).saturating_duration_since(now);
        (count >= MOST && !left.is_zero()).then_some(left)
    }

    /// Records a wrong token.
    pub fn record(&mut self, address: IpAddr, now: Instant) {
        if self.0.len() >= ADDRESSES {
            self.0.retain(|_, (since, _)| now.saturating_duration_since(*since) < WINDOW);
        }
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&address) {
            return;
        }
        let known = self.0.entry(address).or_insert((now, 0));
        if now.saturating_duration_since(known.0) >= WINDOW {
            *known = (now, 0);
        }
        known.1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_waits_after_ten_wrong_tokens_within_a_minute_and_others_do_not() {
        let (one, other) = ([192, 168, 1, 66].into(), [192, 168, 1, 67].into());
        let (start, mut guesses) = (Instant::now(), Guesses::default());
        for _ in 0..9 {
            guesses.record(one, start);
        }
        assert_eq!(guesses.wait(one, start), None);
        guesses.record(one, start + Duration::from_secs(20));
        assert_eq!(guesses.wait(one, start + Duration::from_secs(20)), Some(Duration::from_secs(40)));
        assert_eq!(guesses.wait(other, start), None);
        assert_eq!(guesses.wait(one, start + WINDOW), None);
        guesses.record(one, start + WINDOW);
        assert_eq!(guesses.wait(one, start + WINDOW), None, "the old ones no longer count");
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_addresses_is_bounded() {
        let (start, mut guesses) = (Instant::now(), Guesses::default());
        for n in 0..5000_u32 {
            guesses.record(IpAddr::from(n.to_be_bytes()), start);
        }
        assert_eq!(guesses.0.len(), ADDRESSES);
        guesses.record(IpAddr::from([9, 9, 9, 9]), start + WINDOW);
        assert_eq!(guesses.0.len(), 1);
    }
}
