//! Where the export goes on: after a start, a crash or a failure the last committed progress record is weighed against the
//! log, the topics and the database's copy. What a broker left hanging or torn is ended or made up for first.

pub(crate) mod establish;
pub(crate) mod hanging;
pub(crate) mod ledger;
pub(crate) mod progress;
pub(crate) mod rescan;
pub(crate) mod torn;
pub(crate) mod verdict;
pub(crate) mod written;
