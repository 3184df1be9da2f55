//! Between cells and values: times are integer microseconds, ids and JSON are text.

use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::batch::{Cell, Cells};

/// A time as it stands in a cell.
pub(crate) const fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

/// Reads a row's cells one after the other. Each method answers `None` where the cell is not what it should be.
pub(crate) struct CellsReader {
    cells: std::vec::IntoIter<Cell>,
}

impl CellsReader {
    pub fn new(cells: Cells) -> Self {
        Self { cells: cells.into_iter() }
    }

    pub fn text(&mut self) -> Option<String> {
        self.optional_text().flatten()
    }

    pub fn optional_text(&mut self) -> Option<Option<String>> {
        match self.cells.next()? {
            Cell::Text(text) => Some(Some(text)),
            Cell::Null => Some(None),
            Cell::Integer(_) => None,
        }
    }

    pub fn parsed<T: FromStr>(&mut self) -> Option<T> {
        self.text()?.parse().ok()
    }

    pub fn json<T: serde::de::DeserializeOwned>(&mut self) -> Option<T> {
        serde_json::from_str(&self.text()?).ok()
    }

    pub fn number<T: TryFrom<i64>>(&mut self) -> Option<T> {
        match self.cells.next()? {
            Cell::Integer(number) => T::try_from(number).ok(),
            Cell::Text(_) | Cell::Null => None,
        }
    }

    pub fn time(&mut self) -> Option<DateTime<Utc>> {
        self.optional_time().flatten()
    }

    pub fn optional_time(&mut self) -> Option<Option<DateTime<Utc>>> {
        match self.cells.next()? {
            Cell::Integer(micros) => DateTime::from_timestamp_micros(micros).map(Some),
            Cell::Null => Some(None),
            Cell::Text(_) => None,
        }
    }
}
