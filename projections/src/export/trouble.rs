//! What is in the worker's way, and what follows from it.

use super::sending::transaction::Failure;

/// Why the worker begins again.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The service stops.
    Stopping,
    /// Another instance may export by now.
    LeaseLost,
    /// The position in memory is void, the producer is not.
    Void(String),
    /// Something has to be made anew, or waited for.
    Retry(String),
    /// The topics contradict the settings.
    Refused(String),
}

impl Trouble {
    pub fn retry(error: impl std::error::Error) -> Self {
        Self::Retry(chain(&error))
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Aborted(_) => Self::Void(failure.to_string()),
            Failure::Fatal(_) | Failure::Fenced => Self::Retry(failure.to_string()),
            // Whoever wanted it to end knows why.
            Failure::GivenUp => Self::LeaseLost,
        }
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    tokio::task::spawn_blocking(work).await.map_err(Trouble::retry)
}
