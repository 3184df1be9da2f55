//! Values about a person, which history must be able to forget.
//!
//! History can't be changed, so a personal value never stands in it in the clear. An event serializes it under a marker,
//! `{"$personal": value}`; the log seals what stands there before the append (`{"$sealed": ...}`) and opens it after the
//! read. Once the key is destroyed it reads `{"$erased": true}`. This crate sees the markers and never a key.

use std::fmt;

use serde::de::IgnoredAny;
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A personal value, or what is left of one.
///
/// `Debug` never prints the value, so that an event in a log line gives nobody away.
#[derive(Clone, PartialEq, Eq)]
pub enum Personal<T> {
    /// The value in the clear: just made, or opened by the log.
    Known(T),
    /// Read without opening, as views and the feed do.
    Sealed,
    /// The key was destroyed: nobody can read the value again.
    Erased,
}

impl<T> Personal<T> {
    /// The value, if it is in the clear.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Sealed | Self::Erased => None,
        }
    }

    /// True once the value's key was destroyed.
    pub const fn is_erased(&self) -> bool {
        match self {
            Self::Erased => true,
            Self::Known(_) | Self::Sealed => false,
        }
    }
}

impl<T> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known(_) => "Known(..)",
            Self::Sealed => "Sealed",
            Self::Erased => "Erased",
        })
    }
}

impl<T: Serialize> Serialize for Personal<T> {
    /// # Errors
    /// A sealed value can't be written: only the log knows its sealed form, and writing a stand-in would lose it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if matches!(self, Self::Sealed) {
            return Err(S::Error::custom("a sealed personal value was read without opening and can't be written"));
        }
        let mut marker = serializer.serialize_map(Some(1))?;
        match self {
            Self::Known(value) => marker.serialize_entry("$personal", value)?,
            Self::Sealed | Self::Erased => marker.serialize_entry("$erased", &true)?,
        }
        marker.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        enum Marker<T> {
            #[serde(rename = "$personal")]
            Personal(T),
            #[serde(rename = "$sealed")]
            Sealed(IgnoredAny),
            #[serde(rename = "$erased")]
            Erased(IgnoredAny),
        }

        Ok(match Marker::deserialize(deserializer)? {
            Marker::Personal(value) => Self::Known(value),
            Marker::Sealed(_) => Self::Sealed,
            Marker::Erased(_) => Self::Erased,
        })
    }
}
