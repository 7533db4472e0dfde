//! Rate limits by network address for requests without proof of identity (rulings 23). They protect against floods; the
//! count of failed logins is in `login`.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota};
use parking_lot::Mutex;

use crate::app::{Error, Result};

/// Maximum number of tries at once.
const BURST: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Additional tries per second.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(1).unwrap();
/// Number of tries after which idle addresses are removed from memory.
const TIDY: u32 = 256;
/// Maximum number of invalid tokens per address within [`BAD_BEARERS_PER`].
const BAD_BEARERS: u32 = 30;
/// Time after which the count of invalid tokens starts again.
const BAD_BEARERS_PER: Duration = Duration::from_secs(60);
/// Maximum number of addresses in memory.
const BAD_ADDRESSES: usize = 1024;

/// A rate limit per key.
#[derive(Debug)]
pub struct RateLimit<K: Clone + Eq + Hash> {
    limiter: DefaultKeyedRateLimiter<K>,
    seen: AtomicU32,
}

/// Rate limit of tries without proof of identity, per address (IPv6: per /64 network). Requests with a valid link, a
/// valid setup token or a known browser do not count.
pub type AddressLimit = RateLimit<IpAddr>;

impl<K: Clone + Eq + Hash> RateLimit<K> {
    pub fn new(quota: Quota) -> Self {
        Self { limiter: DefaultKeyedRateLimiter::keyed(quota), seen: AtomicU32::new(0) }
    }

    /// Counts a try.
    ///
    /// # Errors
    /// [`Error::TooManyTries`] where the limit is exceeded.
    pub fn admit(&self, key: &K) -> Result<()> {
        if self.seen.fetch_add(1, Ordering::Relaxed) % TIDY == TIDY - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|refusal| {
            let wait = refusal.wait_time_from(self.limiter.clock().now());
            Error::TooManyTries { retry_after: wait.max(Duration::from_secs(1)) }
        })
    }
}

impl AddressLimit {
    pub(super) fn per_address() -> Self {
        Self::new(Quota::per_second(PER_SECOND).allow_burst(BURST))
    }

    /// Counts a try without proof of identity.
    ///
    /// # Errors
    /// [`Error::TooManyTries`] where the limit is exceeded.
    pub fn admit_from(&self, ip: Option<IpAddr>) -> Result<()> {
        // Requests with an unknown address share one count.
        self.admit(&network(ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// Counts of invalid tokens per address. They are in memory only, so a restart clears them; guessing 256 bits is
/// hopeless anyway. Only invalid tokens are counted and refused: a valid token is accepted whatever other clients on
/// its network send.
#[derive(Debug, Default)]
pub(super) struct BadBearers(Mutex<HashMap<IpAddr, (Duration, u32)>>);

impl BadBearers {
    /// Counts an invalid token.
    ///
    /// # Errors
    /// [`Error::TooManyTries`] where the limit was exceeded before.
    pub(super) fn refuse(&self, ip: Option<IpAddr>, at: Duration) -> Result<()> {
        let Some(ip) = ip.map(network) else { return Ok(()) };
        let mut seen = self.0.lock();
        if seen.len() >= BAD_ADDRESSES {
            seen.retain(|_, (since, _)| *since + BAD_BEARERS_PER > at);
            if seen.len() >= BAD_ADDRESSES {
                return Ok(());
            }
        }
        let (since, count) = seen.entry(ip).or_insert((at, 0));
        if *since + BAD_BEARERS_PER <= at {
            (*since, *count) = (at, 0);
        }
        if *count >= BAD_BEARERS {
            let left = (*since + BAD_BEARERS_PER).saturating_sub(at);
            return Err(Error::TooManyTries { retry_after: Duration::from_secs(left.as_secs().max(1)) });
        }
        *count += 1;
        Ok(())
    }
}

/// The network that an address counts for: an IPv4 address itself, the /64 of an IPv6 address, because a single host
/// can use any address of its /64.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_counts_as_its_network() {
        let address = |text: &str| text.parse::<IpAddr>().expect(text);
        assert_eq!(network(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
        assert_eq!(network(address("192.0.2.1")), address("192.0.2.1"));
    }
}
