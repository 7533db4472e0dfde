//! Holds back an address that tries without a proof more than once a second for long (rulings 23: a flood guard, not the
//! count of failures). Whoever has proved anything before, by a link, the setup token or a known browser, never meets it.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota};

use super::network;
use crate::app::{Error, Result};

/// Tries at once …
const BURST: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// … and one more each second.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(1).unwrap();
/// Addresses that are quiet are forgotten every so many tries.
const TIDY: u32 = 256;

/// Tries by address, IPv6 by /64.
#[derive(Debug)]
pub struct Flood {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    seen: AtomicU32,
}

impl Default for Flood {
    fn default() -> Self {
        let quota = Quota::per_second(PER_SECOND).allow_burst(BURST);
        Self { limiter: DefaultKeyedRateLimiter::keyed(quota), seen: AtomicU32::new(0) }
    }
}

impl Flood {
    /// Counts a try without a proof.
    ///
    /// # Errors
    /// [`Error::TooManyTries`] where there were too many of late.
    pub fn admit(&self, ip: Option<IpAddr>) -> Result<()> {
        if self.seen.fetch_add(1, Ordering::Relaxed) % TIDY == TIDY - 1 {
            self.limiter.retain_recent();
        }
        // Where the peer is not known they all count as one.
        let key = network(ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        self.limiter.check_key(&key).map_err(|refusal| {
            let wait = refusal.wait_time_from(self.limiter.clock().now());
            Error::TooManyTries { retry_after: Duration::from_secs(wait.as_secs().max(1)) }
        })
    }
}
