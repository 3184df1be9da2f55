//! Which version of an aggregate a command was meant for.

/// The versions that a command may be applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Any version.
    Any,
    /// One of these sequences.
    Sequences(Vec<u64>),
}

impl Precondition {
    /// Whether a stream at `sequence` may be changed.
    #[must_use]
    pub fn holds(&self, sequence: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Sequences(sequences) => sequences.contains(&sequence),
        }
    }
}
