//! The way to a stop: said once, seen by everybody who has to wind down.
//!
//! From the first moment `/health/ready` answers 503 and every answer closes its connection. Until the listener closes
//! everything is served as before, so that a proxy can notice. Then what was begun is finished, a body that does not
//! arrive is no longer waited for, and what still comes on a connection that stays open is refused.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How long a body may take to arrive, and requests on open connections are served, after the listener has closed.
const GRACE: Duration = Duration::from_secs(2);

/// How a stop's time is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Everything.
    pub total: Duration,
    /// At the beginning: the service serves on and says that it will not for long.
    pub drain: Duration,
    /// Then: requests are finished.
    pub requests: Duration,
}

impl Budget {
    /// The drain is at most half of it, and a quarter (at most 5 s) is kept for closing the log and the views.
    #[must_use]
    pub fn of(total: Duration, drain: Duration) -> Self {
        let drain = drain.min(total / 2);
        let closing = (total / 4).min(Duration::from_secs(5));
        // The server looks only once a second whether its time is over.
        let requests = total.saturating_sub(drain + closing).saturating_sub(Duration::from_secs(1));
        Self { total, drain, requests }
    }
}

/// Where the service is on its way to a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    Draining,
    Closed { since: Instant },
}

/// Shared by whoever stops the service and whoever has to know.
pub struct Stopping(watch::Sender<Stage>);

impl Stopping {
    /// Nobody has asked for a stop.
    pub fn new() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }

    /// A stop begins; everything is still served.
    pub fn begin(&self) {
        self.0.send_replace(Stage::Draining);
    }

    /// The listener closes.
    pub fn close(&self) {
        self.0.send_replace(Stage::Closed { since: Instant::now() });
    }

    /// Whether a stop has begun.
    pub fn has_begun(&self) -> bool {
        match *self.0.borrow() {
            Stage::Serving => false,
            Stage::Draining | Stage::Closed { .. } => true,
        }
    }

    /// Whether a request that comes now is too late.
    pub fn refuses(&self) -> bool {
        match *self.0.borrow() {
            Stage::Serving | Stage::Draining => false,
            Stage::Closed { since } => since.elapsed() > GRACE,
        }
    }

    /// Resolves when nothing more should be waited for that a client has yet to send.
    pub async fn grace_over(&self) {
        let mut stages = self.0.subscribe();
        loop {
            let stage = *stages.borrow_and_update();
            match stage {
                Stage::Closed { since } => return tokio::time::sleep_until(since + GRACE).await,
                // The sender lives as long as this does.
                Stage::Serving | Stage::Draining => drop(stages.changed().await),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Budget;

    #[test]
    fn the_parts_of_a_stop_fit_into_the_whole() {
        let seconds = Duration::from_secs;
        let usual = Budget::of(seconds(20), Duration::ZERO);
        assert_eq!(usual, Budget { total: seconds(20), drain: Duration::ZERO, requests: seconds(14) });
        for total in 0..=600 {
            for drain in [0, 1, 5, 60, 600] {
                let Budget { total, drain, requests } = Budget::of(seconds(total), seconds(drain));
                assert!(drain + requests <= total, "{total:?}: {drain:?} and {requests:?}");
            }
        }
    }
}
