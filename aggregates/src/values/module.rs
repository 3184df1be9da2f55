//! Modules that a tenant may use.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{printable, string_value};

/// The text is not a module's name, or there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// Empty or too long.
    #[error("must have 1 to {max} characters, not {length}")]
    Length {
        /// Bytes given.
        length: usize,
        /// Most characters.
        max: usize,
    },
    /// Something else than an ASCII letter, a digit or one of `-_.`.
    #[error("may hold letters a to z, digits, hyphens, underscores and dots, not {found:?}")]
    Character {
        /// The first such character.
        found: char,
    },
    /// More than a tenant can have.
    #[error("at most {max} modules, not {count}")]
    TooMany {
        /// Modules given.
        count: usize,
        /// Most modules.
        max: usize,
    },
}

string_value! {
    /// A module such as `ad` or `ssh`: 1 to 50 ASCII letters, digits and `-_.`. The data plane knows what it means.
    ModuleName, ModuleError, parse
}
printable!(ModuleName);

const MAX_LENGTH: usize = 50;

fn parse(text: &str) -> Result<String, ModuleError> {
    if let Some(found) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.')) {
        return Err(ModuleError::Character { found });
    }
    if !(1..=MAX_LENGTH).contains(&text.len()) {
        return Err(ModuleError::Length { length: text.len(), max: MAX_LENGTH });
    }
    Ok(text.to_owned())
}

/// The modules enabled for a tenant: a set of at most [`Modules::MAX`], in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<ModuleName>")]
pub struct Modules(BTreeSet<ModuleName>);

impl Modules {
    /// Most modules that one tenant can have.
    pub const MAX: usize = 100;

    /// The names, each once, in order.
    pub fn iter(&self) -> impl Iterator<Item = &ModuleName> {
        self.0.iter()
    }
}

impl TryFrom<Vec<ModuleName>> for Modules {
    type Error = ModuleError;

    /// A name given twice counts once.
    fn try_from(names: Vec<ModuleName>) -> Result<Self, ModuleError> {
        let names: BTreeSet<_> = names.into_iter().collect();
        if names.len() > Self::MAX {
            return Err(ModuleError::TooMany { count: names.len(), max: Self::MAX });
        }
        Ok(Self(names))
    }
}
