//! How many requests one principal may make, so that one client does not take the service from all others.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Principals that are remembered before those that have been quiet are forgotten.
const REMEMBERED: usize = 10_000;

/// The request is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; the next one is possible in {retry_after_seconds} s")]
pub struct TooMany {
    /// When the next request is possible.
    pub retry_after_seconds: u32,
}

/// Counts requests by principal.
pub struct RateLimit {
    limiter: Option<DefaultKeyedRateLimiter<String>>,
}

impl RateLimit {
    /// Allows so many requests a minute, as many of them at once; 0 allows any number.
    #[must_use]
    pub fn per_minute(requests: u32) -> Self {
        Self { limiter: NonZeroU32::new(requests).map(|requests| RateLimiter::keyed(Quota::per_minute(requests))) }
    }

    /// Allows so many requests a minute in the long run, `burst` of them at once; 0 a minute allows any number.
    #[must_use]
    pub fn with_burst(requests: u32, burst: NonZeroU32) -> Self {
        let quota = |requests| Quota::per_minute(requests).allow_burst(burst);
        Self { limiter: NonZeroU32::new(requests).map(|requests| RateLimiter::keyed(quota(requests))) }
    }

    /// Counts one request of `principal`.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn count(&self, principal: &str) -> Result<(), TooMany> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        if limiter.len() > REMEMBERED {
            limiter.retain_recent();
        }
        limiter.check_key(&principal.to_owned()).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
            TooMany { retry_after_seconds: seconds.max(1) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_principal_has_its_own_count() {
        let limit = RateLimit::per_minute(2);
        assert_eq!((limit.count("anna"), limit.count("anna")), (Ok(()), Ok(())));
        let refused = limit.count("anna").unwrap_err();
        assert!((1..=30).contains(&refused.retry_after_seconds), "{refused}");
        assert_eq!(limit.count("ben"), Ok(()));
    }

    #[test]
    fn a_burst_may_be_longer_than_a_minute_lasts() {
        let limit = RateLimit::with_burst(60, NonZeroU32::new(150).unwrap());
        assert!((0..150).all(|_| limit.count("anna").is_ok()));
        assert_eq!(limit.count("anna").unwrap_err().retry_after_seconds, 1);
        assert!(RateLimit::with_burst(0, NonZeroU32::MIN).count("anna").is_ok());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let limit = RateLimit::per_minute(0);
        assert!((0..10_000).all(|_| limit.count("anna").is_ok()));
    }
}
