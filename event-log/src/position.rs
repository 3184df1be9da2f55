//! The one number that auditors, views, exporters and proofs all count in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in the log: 1, 2, 3 ... without a gap. [`Position::START`] (0) stands before the first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// Before the first event: what an empty log has as its head, and where a feed of everything begins.
    pub const START: Self = Self(0);

    /// The position with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, as shown to clients in `Tenure-Position`.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position that directly follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
