//! A batch's working set: the rows that its events read and change, held in memory until they are written at once.

use std::collections::HashMap;

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
    rows: HashMap<Cells, Option<Cells>>,
    changed: HashMap<Cells, Stored>,
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
        let tables =
            tables.iter().map(|table| TableRows { table, rows: HashMap::new(), changed: HashMap::new() }).collect();
        Self { generation, position, tables }
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
        known.rows.extend(keys.into_iter().map(|key| (key, None)));
        known.rows.extend(found.into_iter().map(|row| (row[..table.key].to_vec(), Some(row))));
    }

    /// The row with this key.
    pub fn get<R: Row>(&self, key: &[Cell]) -> Result<Option<R>, Obstacle> {
        let Some(row) = self.of(R::TABLE).and_then(|known| known.rows.get(key)) else {
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
            // What began in this batch goes on doing so.
            known.changed.entry(key.clone()).or_insert(stored);
            known.rows.insert(key, Some(cells));
        }
    }

    /// Deletes the row with this key, if there is one.
    pub fn delete<R: Row>(&mut self, key: Cells) {
        if let Some(known) = self.of_mut(R::TABLE) {
            known.changed.entry(key.clone()).or_insert(Stored::Perhaps);
            known.rows.insert(key, None);
        }
    }

    /// Adds to a row of numbers; an absent one counts as zero.
    pub fn add(&mut self, table: &'static Table, key: Cells, numbers: &[i64]) {
        let Some(known) = self.of_mut(table) else { return };
        known.changed.entry(key.clone()).or_insert(Stored::Perhaps);
        let row = known
            .rows
            .entry(key.clone())
            .or_default()
            .get_or_insert_with(|| key.into_iter().chain(numbers.iter().map(|_| Cell::Integer(0))).collect());
        for (cell, number) in row[table.key..].iter_mut().zip(numbers) {
            if let Cell::Integer(sum) = cell {
                *sum += number;
            }
        }
    }

    /// What the batch changed, in the keys' order. Only rows that are worth keeping stay here.
    pub fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for TableRows { table, rows, changed } in &mut self.tables {
            let mut keys: Vec<_> = changed.drain().collect();
            keys.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            let mut change = Change::nothing(table, self.generation);
            for (key, stored) in keys {
                let row = match table.write {
                    Write::Replace => rows.get(&key).cloned(),
                    Write::Blind | Write::Add => rows.remove(&key),
                };
                match (row, stored) {
                    (Some(Some(row)), Stored::No) => change.insert.push(row),
                    (Some(Some(row)), Stored::Perhaps) => change.put.push(row),
                    (Some(None), Stored::Perhaps) => change.delete.push(key),
                    // Began and ended in this batch.
                    (Some(None), Stored::No) | (None, _) => {}
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
