//! The sentences: what is wrong, and what to do about it. The runbook goes on where they end.

use std::error::Error;
use std::time::Duration;

use tenure_event_log::{Position, ReadError};
use tenure_projections::{Problem, ProblemKind};

/// A stop has begun.
pub fn stopping() -> String {
    "The service is stopping: send requests to another instance.".to_owned()
}

/// The log's database says no.
pub fn unreadable_log(error: &ReadError) -> String {
    let cause = error.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
    match error {
        ReadError::Unavailable { .. } => format!(
            "The log can't be read{cause}: check that the database runs and takes connections; the service goes on by \
             itself as soon as it does."
        ),
        ReadError::Corrupt { .. } | ReadError::CorruptLog { .. } => {
            format!("The log is damaged ({error}): stop writing to it and restore it, see \"Restore\" in the runbook.")
        }
    }
}

/// The log's database says nothing.
pub fn silent_log(within: Duration) -> String {
    format!("The log did not answer within {} s: check the database's load and the network to it.", within.as_secs())
}

/// Commands are not written.
pub fn failing_writer(failure: &str) -> String {
    format!(
        "Commands can't be written ({failure}): check the database's disk, that it is a primary that takes writes, and \
         this machine's clock; the writer goes on trying."
    )
}

/// The gate has lost sight of the log.
pub fn stale_gate(age: Duration) -> String {
    format!(
        "The gate has not read the log for {:.1} s, so tenants' people are answered 503: check the database and the load \
         of this machine.",
        age.as_secs_f64()
    )
}

/// The log is not the one that this instance has read.
pub fn rewritten_log(position: Position) -> String {
    format!(
        "The log does not hold the event at position {position} that this instance has read: a failover lost it, or a backup \
         was restored while it ran. Restart this instance, see \"Failover\" in the runbook; until then tenants' people are \
         answered 503."
    )
}

/// A view has yet to pass what was there at the start.
pub fn behind(position: Position, wanted: Position) -> String {
    format!(
        "It has yet to apply the events from {} to {wanted}, which were in the log when this instance started: wait, its \
         position grows.",
        position.next()
    )
}

/// A view stands still.
pub fn stopped_projection(problem: &Problem) -> String {
    let since = problem.since.format("%Y-%m-%d %H:%M:%S UTC");
    match problem.kind {
        ProblemKind::Poison => format!(
            "It has stood still since {since} before an event that it can't apply ({problem}): repair the event or install \
             a release that can apply it, see \"A projection stands still\" in the runbook; commands go on."
        ),
        ProblemKind::UnknownEvent => format!(
            "It has waited since {since} before an event that only a newer release knows ({problem}): upgrade this \
             instance."
        ),
        ProblemKind::Unavailable => format!(
            "A database can't be used since {since} ({problem}): check that it runs and takes connections; the projection \
             goes on by itself as soon as it does."
        ),
    }
}
