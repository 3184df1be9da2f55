//! Groups of people, as an identity provider names them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{printable, string_value};

/// The text is not a group's id, or there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Empty or too long.
    #[error("must have 1 to {max} characters, not {length}")]
    Length {
        /// Characters given.
        length: usize,
        /// Most characters.
        max: usize,
    },
    /// A control character, or white space at an end, which people can't tell apart.
    #[error("must not hold control characters, nor begin or end with white space")]
    Invisible,
    /// More than one person or token can be in.
    #[error("at most {max} groups, not {count}")]
    TooMany {
        /// Groups given.
        count: usize,
        /// Most groups.
        max: usize,
    },
}

string_value! {
    /// A group's id: 1 to 255 characters that mean nothing here, compared exactly. It is no place for personal values.
    GroupId, GroupError, parse
}
printable!(GroupId);

const MAX_LENGTH: usize = 255;

fn parse(text: &str) -> Result<String, GroupError> {
    let length = text.chars().count();
    if !(1..=MAX_LENGTH).contains(&length) {
        return Err(GroupError::Length { length, max: MAX_LENGTH });
    }
    if text.contains(char::is_control) || text.trim() != text {
        return Err(GroupError::Invisible);
    }
    Ok(text.to_owned())
}

/// The groups that somebody is in: a set of at most [`Groups::MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<GroupId>")]
pub struct Groups(BTreeSet<GroupId>);

impl Groups {
    /// Most groups that one person or token can be in.
    pub const MAX: usize = 256;

    /// The ids, each once, in order.
    pub fn iter(&self) -> impl Iterator<Item = &GroupId> {
        self.0.iter()
    }

    /// Whether this group is one of them.
    #[must_use]
    pub fn contains(&self, group: &GroupId) -> bool {
        self.0.contains(group)
    }

    /// Parses a list of ids.
    ///
    /// # Errors
    /// The first rule that one of them, or their number, breaks.
    pub fn parse<T: AsRef<str>>(ids: &[T]) -> Result<Self, GroupError> {
        ids.iter().map(|id| GroupId::parse(id.as_ref())).collect::<Result<Vec<_>, _>>()?.try_into()
    }
}

impl TryFrom<Vec<GroupId>> for Groups {
    type Error = GroupError;

    /// A group named twice counts once.
    fn try_from(ids: Vec<GroupId>) -> Result<Self, GroupError> {
        let ids: BTreeSet<_> = ids.into_iter().collect();
        if ids.len() > Self::MAX {
            return Err(GroupError::TooMany { count: ids.len(), max: Self::MAX });
        }
        Ok(Self(ids))
    }
}
