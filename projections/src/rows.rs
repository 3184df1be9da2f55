//! A batch's working set: the rows that its events read and change, held in memory until they are written at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tenure_event_log::Position;

use crate::batch::{Cell, Cells, Change, Table, Write};
use crate::history::Obstacle;

/// A row type of one table.
pub(crate) trait Row: Sized {
    const TABLE: &'static Table;

    /// All columns in the table's order.
    fn into_cells(self) -> Cells;

    /// `None` if the cells are not what [`Row::into_cells`] made.
    fn from_cells(cells: Cells) -> Option<Self>;
}

/// When more rows than this are cached, they are forgotten.
const CACHED_ROWS: usize = 10_000;

/// The rows of one generation, as of `position`.
pub(crate) struct Rows {
    generation: u32,
    /// The rows are as they were when the checkpoint stood here.
    pub position: Position,
    tables: Vec<TableRows>,
}

struct TableRows {
    table: &'static Table,
    rows: HashMap<Cells, Known>,
    /// Keys of changed rows, where others are cached beside them ([`Write::Replace`]). Elsewhere every row is a changed one.
    changed: Vec<Cells>,
}

/// What is known of a row.
struct Known {
    /// `None` where there is none.
    row: Option<Cells>,
    /// Whether this batch changes it.
    changed: Option<Stored>,
}

/// Whether the table may hold a changed row already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    /// The row begins in this batch.
    No,
    Perhaps,
}

impl Rows {
    pub fn new(tables: &'static [Table], generation: u32, position: Position) -> Self {
        let tables = tables.iter().map(|table| TableRows { table, rows: HashMap::new(), changed: Vec::new() });
        Self { generation, position, tables: tables.collect() }
    }

    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// True if a batch has to load the row before it can read it.
    pub fn lacks(&self, table: &'static Table, key: &Cells) -> bool {
        self.of(table).is_none_or(|known| !known.rows.contains_key(key))
    }

    /// Takes over loaded rows: of the keys asked for, those not found are absent.
    pub fn loaded(&mut self, table: &'static Table, keys: Vec<Cells>, found: Vec<Cells>) {
        let Some(known) = self.of_mut(table) else { return };
        known.rows.extend(keys.into_iter().map(|key| (key, Known { row: None, changed: None })));
        let found = found.into_iter().map(|row| (row[..table.key].to_vec(), Known { row: Some(row), changed: None }));
        known.rows.extend(found);
    }

    /// The row with this key.
    pub fn get<R: Row>(&self, key: &[Cell]) -> Result<Option<R>, Obstacle> {
        let Some(Known { row, .. }) = self.of(R::TABLE).and_then(|known| known.rows.get(key)) else {
            return Err(Obstacle::Poison(format!("row {key:?} of {} was not loaded", R::TABLE.name)));
        };
        let Some(cells) = row.clone() else { return Ok(None) };
        let unreadable = || Obstacle::Poison(format!("row {key:?} of {} can't be read", R::TABLE.name));
        R::from_cells(cells).map(Some).ok_or_else(unreadable)
    }

    /// Puts a whole row, in the place of the one with its key if there is one.
    pub fn put<R: Row>(&mut self, row: R) {
        self.change::<R>(row, Stored::Perhaps);
    }

    /// Puts a whole row whose key no earlier event can have put: it begins with this event. Cheaper to write than one that
    /// may have to replace another; the database refuses it if it has to.
    pub fn insert<R: Row>(&mut self, row: R) {
        self.change::<R>(row, Stored::No);
    }

    fn change<R: Row>(&mut self, row: R, stored: Stored) {
        let cells = row.into_cells();
        let key = cells[..R::TABLE.key].to_vec();
        if let Some(known) = self.of_mut(R::TABLE) {
            known.changing(key, stored).row = Some(cells);
        }
    }

    /// Deletes the row with this key, if there is one.
    pub fn delete<R: Row>(&mut self, key: Cells) {
        if let Some(known) = self.of_mut(R::TABLE) {
            known.changing(key, Stored::Perhaps).row = None;
        }
    }

    /// Adds to a row of numbers; an absent one counts as zero.
    pub fn add(&mut self, table: &'static Table, key: Cells, numbers: &[i64]) {
        let Some(known) = self.of_mut(table) else { return };
        let zeros = numbers.iter().map(|_| Cell::Integer(0));
        let known = known.changing(key.clone(), Stored::Perhaps);
        let row = known.row.get_or_insert_with(|| key.into_iter().chain(zeros).collect());
        for (cell, number) in row[table.key..].iter_mut().zip(numbers) {
            if let Cell::Integer(sum) = cell {
                *sum += number;
            }
        }
    }

    /// What the batch changed, in the keys' order. Only rows that are worth keeping stay here.
    pub fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for known in &mut self.tables {
            let mut change = Change::nothing(known.table, self.generation);
            for (key, Known { row, changed }) in known.take_changed() {
                match (row, changed) {
                    (Some(row), Some(Stored::No)) => change.insert.push(row),
                    (Some(row), Some(Stored::Perhaps)) => change.put.push(row),
                    (None, Some(Stored::Perhaps)) => change.delete.push(key),
                    // Began and ended in this batch.
                    (None, Some(Stored::No)) | (_, None) => {}
                }
            }
            if !change.is_empty() {
                changes.push(change);
            }
        }
        changes
    }

    /// The batch is committed: what is worth keeping stays for the next one.
    pub fn committed(&mut self, position: Position) {
        self.position = position;
        let cached: usize = self.tables.iter().map(|known| known.rows.len()).sum();
        for TableRows { table, rows, changed: _ } in &mut self.tables {
            match table.write {
                Write::Replace if cached <= CACHED_ROWS => {}
                Write::Replace | Write::Blind | Write::Add => rows.clear(),
            }
        }
    }

    fn of(&self, table: &'static Table) -> Option<&TableRows> {
        self.tables.iter().find(|known| known.table.name == table.name)
    }

    fn of_mut(&mut self, table: &'static Table) -> Option<&mut TableRows> {
        self.tables.iter_mut().find(|known| known.table.name == table.name)
    }
}

impl TableRows {
    /// What is known of the row, to be changed.
    fn changing(&mut self, key: Cells, stored: Stored) -> &mut Known {
        let keeps_others = self.table.write == Write::Replace;
        match self.rows.entry(key) {
            Entry::Occupied(known) => {
                // What began in this batch goes on doing so.
                if known.get().changed.is_none() && keeps_others {
                    self.changed.push(known.key().clone());
                }
                let known = known.into_mut();
                known.changed.get_or_insert(stored);
                known
            }
            Entry::Vacant(place) => {
                if keeps_others {
                    self.changed.push(place.key().clone());
                }
                place.insert(Known { row: None, changed: Some(stored) })
            }
        }
    }

    /// The changed rows in the keys' order. From now on they count as unchanged, or are gone where none is cached.
    fn take_changed(&mut self) -> Vec<(Cells, Known)> {
        let mut changed: Vec<(Cells, Known)> = match self.table.write {
            Write::Replace => {
                let taken = self.changed.drain(..).filter_map(|key| {
                    let known = self.rows.get_mut(&key)?;
                    let changed = known.changed.take();
                    Some((key, Known { row: known.row.clone(), changed }))
                });
                taken.collect()
            }
            Write::Blind | Write::Add => self.rows.drain().collect(),
        };
        changed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        changed
    }
}
