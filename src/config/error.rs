//! A wrong setting, told in one line: which key, which value, where it came from, what is allowed.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file built into the binary.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable, by its full name.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in default"),
            Self::File(path) => write!(f, "file {}", path.display().to_string().escape_debug()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// Why there is no configuration. Displayed as one line; the command line exits with 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value is not what the setting takes.
    #[error("setting {key} = {value} ({origin}) must be {allowed}")]
    Invalid {
        /// The setting.
        key: String,
        /// The value, or `***` where it may hold a secret.
        value: String,
        /// Where it came from.
        origin: Origin,
        /// What the setting takes.
        allowed: String,
    },
    /// A setting that does not exist.
    #[error("unknown setting {key} ({origin}){}", .nearest.map(|key| format!("; did you mean {key}?")).unwrap_or_default())]
    Unknown {
        /// The name given, control characters escaped.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The existing name that looks most like it.
        nearest: Option<&'static str>,
    },
    /// A setting is needed and has no value.
    #[error("setting {key} is missing: {reason}")]
    Missing {
        /// The setting.
        key: &'static str,
        /// What needs it.
        reason: &'static str,
    },
    /// A value is well-formed and still not possible here.
    #[error("setting {key} ({origin}) is refused: {reason}")]
    Refused {
        /// The setting.
        key: String,
        /// Where its value came from.
        origin: Origin,
        /// Why.
        reason: String,
    },
    /// A configuration file, or a file that holds a secret, can't be read.
    #[error("{origin} can't be read: {reason}")]
    Unreadable {
        /// Which file, and who named it.
        origin: String,
        /// The system's answer.
        reason: String,
    },
    /// A configuration file is not TOML.
    #[error("{origin} is not valid TOML at line {line}: {reason}")]
    Syntax {
        /// Which file.
        origin: Origin,
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
}
