//! The statements that write and read whole batches of rows: `unnest` over one array for each column.

use std::fmt::Write as _;

use super::Statement;
use crate::batch::table::{Kind, Write};
use crate::batch::{Cell, Cells, Change, Column, Move, Table};
use crate::generation::live_checkpoints;

/// SQL whose parameters are arrays, one per column.
#[derive(Default)]
pub(super) struct Arrays {
    sql: String,
    params: Vec<Array>,
}

enum Array {
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
}

impl Arrays {
    /// The statement, ready to run.
    pub fn query(&self) -> Statement<'_> {
        self.params.iter().fold(sqlx::query(&self.sql), |query, param| match param {
            Array::Integers(values) => query.bind(values),
            Array::Texts(values) => query.bind(values),
        })
    }

    /// Adds the rows' columns as parameters; answers `unnest($1::text[], $2::bigint[], ...)`, to select from.
    fn unnest(&mut self, columns: &[Column], rows: Vec<Cells>) -> String {
        format!("unnest({})", self.arrays(columns, rows).join(", "))
    }

    /// The same to be selected: `unnest($1::text[]), unnest($2::bigint[]), ...`. The server hands the rows on one by one
    /// instead of putting every column aside first, which takes half the time.
    fn unnested(&mut self, columns: &[Column], rows: Vec<Cells>) -> String {
        let arrays = self.arrays(columns, rows);
        arrays.iter().map(|array| format!("unnest({array})")).collect::<Vec<_>>().join(", ")
    }

    /// Adds the rows' columns as parameters; answers `$1::text[]`, `$2::bigint[]` ...
    fn arrays(&mut self, columns: &[Column], rows: Vec<Cells>) -> Vec<String> {
        let first = self.params.len();
        self.params.extend(columns.iter().map(|column| match column.kind {
            Kind::Integer => Array::Integers(Vec::with_capacity(rows.len())),
            Kind::Text => Array::Texts(Vec::with_capacity(rows.len())),
        }));
        for row in rows {
            for (array, cell) in self.params[first..].iter_mut().zip(row) {
                match (array, cell) {
                    (Array::Integers(values), Cell::Integer(value)) => values.push(Some(value)),
                    (Array::Integers(values), Cell::Null | Cell::Text(_)) => values.push(None),
                    (Array::Texts(values), Cell::Text(value)) => values.push(Some(value)),
                    (Array::Texts(values), Cell::Null | Cell::Integer(_)) => values.push(None),
                }
            }
        }
        columns
            .iter()
            .enumerate()
            .map(|(index, column)| format!("${}::{}[]", first + index + 1, sql_type(column.kind)))
            .collect()
    }

    /// The statements that change one table, each doing nothing unless the condition holds.
    fn change(&mut self, change: Change, condition: &str) -> Vec<String> {
        let Change { table, generation, insert, put, delete } = change;
        let name = table.in_generation(generation);
        let mut parts = Vec::with_capacity(3);
        if !delete.is_empty() {
            let keys = self.unnest(table.key_columns(), delete);
            let matches: Vec<String> =
                table.key_columns().iter().map(|key| format!("t.{0} = k.{0}", key.name)).collect();
            let (list, matches) = (table.key_list(), matches.join(" and "));
            parts.push(format!("delete from views.{name} t using {keys} as k({list}) where {matches} and {condition}"));
        }
        if !insert.is_empty() {
            let (columns, rows) = (table.column_list(), self.unnested(table.columns, insert));
            parts.push(format!("insert into views.{name} ({columns}) select {rows} where {condition}"));
        }
        if !put.is_empty() {
            let rows = self.unnested(table.columns, put);
            let sets: Vec<String> = table.value_columns().iter().map(|column| set(table.write, column)).collect();
            let (columns, key, sets) = (table.column_list(), table.key_list(), sets.join(", "));
            parts.push(format!(
                "insert into views.{name} as t ({columns}) select {rows} where {condition} \
                 on conflict ({key}) do update set {sets}"
            ));
        }
        parts
    }
}

const fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "bigint",
        Kind::Text => "text",
    }
}

/// Puts tables named in braces into the schema.
pub(super) fn qualify(sql: &str) -> String {
    sql.replace('{', "views.").replace('}', "")
}

/// Begins a transaction and takes the live checkpoints of these views (names are the code's own, never a caller's).
pub(super) fn begin_statement(views: &[(&'static str, u32)]) -> String {
    if views.is_empty() {
        return "begin".to_owned();
    }
    format!("begin; {} for update of c skip locked", qualify(&live_checkpoints(views)))
}

/// The rows with these keys, each looked up by itself: a join would be planned as a scan of the table while that is small,
/// and the plan is kept while it grows.
pub(super) fn load_statement(table: &'static Table, generation: u32, keys: Vec<Cells>) -> Arrays {
    let mut statement = Arrays::default();
    let wanted = statement.unnest(table.key_columns(), keys);
    let matches: Vec<String> = table.key_columns().iter().map(|key| format!("t.{0} = k.{0}", key.name)).collect();
    statement.sql = format!(
        "select found.* from {wanted} as k({keys}) cross join lateral \
         (select {columns} from views.{name} t where {matches} limit 1) found",
        keys = table.key_list(),
        columns = table.column_list(),
        name = table.in_generation(generation),
        matches = matches.join(" and "),
    );
    statement
}

/// One statement for the whole batch: a common table expression per table and kind of change, then the checkpoints.
/// (They all see the same snapshot; that is right, because no two of them touch one row.)
pub(super) fn write_statement(changes: Vec<Change>, checkpoints: Vec<(String, u64)>) -> Arrays {
    let mut statement = Arrays::default();
    let mut parts = Vec::new();
    for change in changes {
        parts.extend(statement.change(change, "true"));
    }
    let moves = checkpoints.into_iter().map(|(name, position)| vec![name.into(), signed(position).into()]).collect();
    let moves = statement.unnest(CHECKPOINT, moves);
    statement.sql = with(
        parts,
        &format!(
            "update views.checkpoints c set position = k.position from {moves} as k(name, position) where c.name = k.name"
        ),
    );
    statement
}

/// The same as a transaction of its own, which does nothing unless every checkpoint stands where it is known to, and is
/// free. Answers a row per checkpoint moved.
pub(super) fn leap_statement(changes: Vec<Change>, moves: Vec<Move>) -> Arrays {
    const GO: &str = "exists (select from go)";
    let mut statement = Arrays::default();
    let wanted = moves.len();
    let (mut known, mut next) = (Vec::with_capacity(wanted), Vec::with_capacity(wanted));
    for Move { checkpoint, from, to } in moves {
        known.push(vec![Cell::from(checkpoint.as_str()), signed(from).into()]);
        next.push(vec![checkpoint.into(), signed(to).into()]);
    }
    let known = statement.unnest(CHECKPOINT, known);
    // A row that changed after the snapshot is looked at once more when it is locked: its position would be another one.
    let taken = format!(
        "select from views.checkpoints c join {known} as k(name, position) using (name, position) for update of c skip locked"
    );
    // Written out, so that each statement of the batch looks once.
    let go = format!("select where (select count(*) from taken) = {wanted}");
    let mut parts = Vec::new();
    for change in changes {
        parts.extend(statement.change(change, GO));
    }
    let next = statement.unnest(CHECKPOINT, next);
    let update = format!(
        "update views.checkpoints c set position = k.position from {next} as k(name, position) \
         where c.name = k.name and {GO} returning c.name"
    );
    let rest = with(parts, &update);
    let rest = rest.strip_prefix("with ").map_or_else(|| rest.clone(), |rest| format!(", {rest}"));
    statement.sql = format!("with taken as materialized ({taken}), go as materialized ({go}) {rest}");
    statement
}

/// Puts parts before a statement, each as a common table expression.
fn with(parts: Vec<String>, last: &str) -> String {
    let mut sql = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        let lead = if index == 0 { "with" } else { "," };
        // Writing to a String can't fail.
        let _ = write!(sql, "{lead} w{index} as ({part}) ");
    }
    sql + last
}

const CHECKPOINT: &[Column] = &[crate::batch::text("name"), crate::batch::integer("position")];

fn set(write: Write, column: &Column) -> String {
    let name = column.name;
    match write {
        Write::Replace | Write::Blind => format!("{name} = excluded.{name}"),
        Write::Add => format!("{name} = t.{name} + excluded.{name}"),
    }
}

fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// The tables of one generation.
pub(super) fn create_statements(tables: &'static [Table], generation: u32) -> String {
    let mut sql = String::new();
    for table in tables {
        let name = table.in_generation(generation);
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| {
                let collation = if column.kind == Kind::Text { " collate \"C\"" } else { "" };
                let absent = if column.nullable { "" } else { " not null" };
                format!("{} {}{collation}{absent}", column.name, sql_type(column.kind))
            })
            .collect();
        let (columns, key) = (columns.join(", "), table.key_list());
        let _ = write!(sql, "create table views.{name} ({columns}, primary key ({key})); ");
    }
    sql
}

/// Their indexes.
pub(super) fn index_statements(tables: &'static [Table], generation: u32) -> String {
    let mut sql = String::new();
    for table in tables {
        let name = table.in_generation(generation);
        for (index, list) in table.indexes.iter().enumerate() {
            let _ = write!(sql, "create index {name}_{index} on views.{name} ({list}); ");
        }
    }
    sql
}
