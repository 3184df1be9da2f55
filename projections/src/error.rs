//! How opening, asking and rebuilding views can fail.

use tenure_event_log::ReadError;

use crate::Problem;
use crate::batch::StoreError;

/// Why the views were not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The schema is absent: migrate first.
    #[error("the views' schema is missing: run `tenure migrate` first")]
    SchemaMissing,
    /// No service of this release ever ran here.
    #[error("the view {view} is not built yet: start this release's service first")]
    NotBuilt {
        /// The view's name.
        view: &'static str,
    },
    /// The views' database can't be reached.
    #[error("the views can't be opened")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The log can't be read.
    #[error("the views can't be opened without the log")]
    Log(#[from] ReadError),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UndefinedTable => Self::SchemaMissing,
            StoreError::Unavailable(_) | StoreError::Refused(_) => Self::Unavailable(Box::new(error)),
        }
    }
}

/// Why a view gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The views' database can't be reached, or did not answer in time. Trying again later may help.
    #[error("the views can't be read")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row is not what a projector wrote: rebuild the view.
    #[error("a row of the view can't be read")]
    Malformed,
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

/// Why a view was not rebuilt. The live one goes on as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no such view.
    #[error("there is no view {name}: there are {known}")]
    UnknownView {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The view is being rebuilt already.
    #[error("the view is being rebuilt already")]
    InProgress,
    /// An event can't be applied.
    #[error("the rebuild stopped: {0}")]
    Stopped(Problem),
    /// A database can't be used.
    #[error("the rebuild broke off")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<StoreError> for RebuildError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<ReadError> for RebuildError {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}
