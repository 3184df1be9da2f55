//! Between cells and values: times are integer microseconds, ids and JSON are text.

use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::batch::{Cell, Cells};

/// A time as it stands in a cell.
pub(crate) const fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

/// A cell that is not what it should be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Malformed;

/// Reads a row's cells one after the other. Each method answers `None` where the cell is not what it should be.
pub(crate) struct CellsReader {
    cells: std::vec::IntoIter<Cell>,
}

impl CellsReader {
    pub fn new(cells: Cells) -> Self {
        Self { cells: cells.into_iter() }
    }

    pub fn text(&mut self) -> Option<String> {
        self.optional_text().ok()?
    }

    pub fn optional_text(&mut self) -> Result<Option<String>, Malformed> {
        match self.cells.next() {
            Some(Cell::Text(text)) => Ok(Some(text)),
            Some(Cell::Null) => Ok(None),
            Some(Cell::Integer(_)) | None => Err(Malformed),
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
        self.optional_time().ok()?
    }

    pub fn optional_time(&mut self) -> Result<Option<DateTime<Utc>>, Malformed> {
        match self.cells.next() {
            Some(Cell::Integer(micros)) => DateTime::from_timestamp_micros(micros).map(Some).ok_or(Malformed),
            Some(Cell::Null) => Ok(None),
            Some(Cell::Text(_)) | None => Err(Malformed),
        }
    }
}
