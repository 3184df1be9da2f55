//! Rows in the binary form of `COPY`, which costs the server about half of what `unnest` does: no arrays are taken apart
//! there, and a page of the table is filled at once.

use crate::batch::table::Kind;
use crate::batch::{Cell, Cells, Table};

/// Below that many rows a call of its own costs more than it saves.
pub(super) const WORTHWHILE: usize = 200;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const NO_FLAGS: [u8; 4] = 0_u32.to_be_bytes();
const NO_EXTENSION: [u8; 4] = 0_u32.to_be_bytes();
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
const END: [u8; 2] = (-1_i16).to_be_bytes();

/// The statement whose data [`encode`] makes.
pub(super) fn statement(table: &Table, generation: u32) -> String {
    let (name, columns) = (table.in_generation(generation), table.column_list());
    format!("copy views.{name} ({columns}) from stdin (format binary)")
}

/// Whole rows of the table. A cell that is not of its column's kind counts as absent.
pub(super) fn encode(table: &Table, rows: &[Cells]) -> Vec<u8> {
    let mut data = Vec::with_capacity(rows.len() * 256);
    data.extend_from_slice(SIGNATURE);
    data.extend(NO_FLAGS);
    data.extend(NO_EXTENSION);
    let width = u16::try_from(table.columns.len()).unwrap_or(u16::MAX).to_be_bytes();
    for row in rows {
        data.extend(width);
        for (column, cell) in table.columns.iter().zip(row) {
            match (column.kind, cell) {
                (Kind::Integer, Cell::Integer(value)) => field(&mut data, &value.to_be_bytes()),
                (Kind::Text, Cell::Text(text)) => field(&mut data, text.as_bytes()),
                (Kind::Integer | Kind::Text, Cell::Null | Cell::Integer(_) | Cell::Text(_)) => data.extend(NULL),
            }
        }
    }
    data.extend(END);
    data
}

fn field(data: &mut Vec<u8>, value: &[u8]) {
    // The server takes no field of 1 GiB anyhow.
    data.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    data.extend_from_slice(value);
}
