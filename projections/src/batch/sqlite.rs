//! The views in `views.db`: write-ahead log, `synchronous=NORMAL`, since whatever a power cut takes is applied again.
//!
//! SQLite 3.46 has the WAL-reset bug, which needs two connections that write or checkpoint one file: so exactly one
//! connection ever does, on a thread of its own ([`writer`]), and readers open the file read-only.

mod reader;
mod writer;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension as _, ToSql, Transaction, TransactionBehavior, params_from_iter,
};
use rusqlite_migration::{M, Migrations};

use super::table::Kind;
use super::{Cell, Cells, Change, Move, StoreError, Table, Write};
use crate::generation::{Checkpoint, live_checkpoints};

/// Pages that the writer keeps, besides those that the system has cached. 64 MiB made nothing faster.
const CACHE_KIB: i32 = 16 * 1024;

/// Pages in the WAL after which the writer checkpoints, about 16 MB.
const CHECKPOINT_PAGES: u32 = 4_000;
/// To what the WAL's file shrinks when it is begun anew, in bytes: a reader that stayed open for long had let it grow.
const WAL_LIMIT: u32 = 32 * 1024 * 1024;

/// The file in the deployment's directory.
const FILE: &str = "views.db";

const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/views/0001_views.sql"),
    include_str!("../../../migrations/sqlite/views/0002_exports.sql"),
];

/// The views' database: one writing thread and a few that read.
#[derive(Clone)]
pub(crate) struct Sqlite {
    /// None where the file is only read.
    writer: Option<Arc<writer::Writer>>,
    readers: Arc<reader::Readers>,
}

impl Sqlite {
    pub async fn open(directory: PathBuf, readers: u32) -> Result<Self, StoreError> {
        tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&directory).map_err(StoreError::unavailable)?;
            let path = directory.join(FILE);
            let connection = match open_writer(&path) {
                Err(error) if is_useless(&error) => {
                    tracing::warn!(%error, "views.db can't be used: building the views anew");
                    set_aside(&directory).map_err(StoreError::unavailable)?;
                    open_writer(&path)
                }
                opened => opened,
            };
            let connection = connection.map_err(StoreError::unavailable)?;
            let writer = Some(Arc::new(writer::Writer::start(connection).map_err(StoreError::unavailable)?));
            let readers = Arc::new(reader::Readers::start(&path, readers)?);
            Ok(Self { writer, readers })
        })
        .await
        .map_err(StoreError::unavailable)?
    }

    /// For reading only, also beside the service that writes the file.
    pub async fn open_read_only(directory: PathBuf, readers: u32) -> Result<Self, StoreError> {
        tokio::task::spawn_blocking(move || {
            let readers = Arc::new(reader::Readers::start(&directory.join(FILE), readers)?);
            Ok(Self { writer: None, readers })
        })
        .await
        .map_err(StoreError::unavailable)?
    }

    pub async fn query(&self, sql: &str, params: Vec<Cell>) -> Result<Vec<Cells>, StoreError> {
        let sql = translate(sql);
        self.readers.call(move |connection| query(connection, &sql, &params)).await
    }

    pub fn session(&self) -> Result<Session, StoreError> {
        let read_only = || StoreError::unavailable(std::io::Error::other("views.db is open for reading only"));
        Ok(Session { writer: Arc::clone(self.writer.as_ref().ok_or_else(read_only)?), transaction: None })
    }

    pub async fn close(&self) {
        let (writer, readers) = (self.writer.clone(), Arc::clone(&self.readers));
        // Readers first, so that the writer is the last to close and checkpoints.
        let closed = tokio::task::spawn_blocking(move || {
            readers.close();
            if let Some(writer) = writer {
                writer.close();
            }
        });
        if let Err(error) = closed.await {
            tracing::error!(%error, "a thread of views.db panicked");
        }
    }
}

/// A projector's transactions on the writing thread.
pub(crate) struct Session {
    writer: Arc<writer::Writer>,
    transaction: Option<writer::Transaction>,
}

impl Session {
    pub async fn begin(&mut self, views: &[(&'static str, u32)]) -> Result<Vec<Checkpoint>, StoreError> {
        self.transaction = None;
        self.transaction = Some(self.writer.begin().await?);
        if views.is_empty() {
            return Ok(Vec::new());
        }
        // Nobody else can hold them: one process, one writer.
        let rows = self.query(&live_checkpoints(views), Vec::new()).await?;
        rows.iter().map(|row| Checkpoint::from_cells(row)).collect()
    }

    pub async fn lock(&mut self, checkpoint: &str) -> Result<Option<u64>, StoreError> {
        let rows = self.query("select position from checkpoints where name = $1", vec![checkpoint.into()]).await?;
        Ok(rows.first().and_then(|row| match row.first() {
            Some(Cell::Integer(position)) => u64::try_from(*position).ok(),
            Some(Cell::Text(_) | Cell::Null) | None => None,
        }))
    }

    pub async fn load(
        &mut self,
        table: &'static Table,
        generation: u32,
        keys: Vec<Cells>,
    ) -> Result<Vec<Cells>, StoreError> {
        self.call(move |connection| load(connection, table, generation, &keys)).await
    }

    pub async fn write(&mut self, changes: Vec<Change>, checkpoints: Vec<(String, u64)>) -> Result<(), StoreError> {
        self.call(move |connection| write(connection, &changes, &checkpoints)).await
    }

    pub async fn leap(&mut self, changes: Vec<Change>, moves: Vec<Move>) -> Result<bool, StoreError> {
        self.rollback().await?;
        self.writer.call(move |connection| leap(connection, &changes, moves)).await
    }

    pub async fn create_tables(&mut self, tables: &'static [Table], generation: u32) -> Result<(), StoreError> {
        self.call(move |connection| connection.execute_batch(&create_statements(tables, generation))).await
    }

    pub async fn create_indexes(&mut self, tables: &'static [Table], generation: u32) -> Result<(), StoreError> {
        self.call(move |connection| connection.execute_batch(&index_statements(tables, generation))).await
    }

    pub async fn query(&mut self, sql: &str, params: Vec<Cell>) -> Result<Vec<Cells>, StoreError> {
        let sql = translate(sql);
        self.call(move |connection| query(connection, &sql, &params)).await
    }

    pub async fn commit(&mut self) -> Result<(), StoreError> {
        match self.transaction.take() {
            Some(transaction) => transaction.commit().await,
            None => Err(StoreError::unavailable(std::io::Error::other("no transaction to commit"))),
        }
    }

    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        match self.transaction.take() {
            Some(transaction) => transaction.rollback().await,
            None => Ok(()),
        }
    }

    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.transaction {
            Some(transaction) => transaction.call(call).await,
            None => self.writer.call(call).await,
        }
    }
}

fn open_writer(path: &Path) -> Result<Connection, rusqlite_migration::Error> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(256);
    Migrations::new(MIGRATIONS.iter().map(|sql| M::up(sql)).collect()).to_latest(&mut connection)?;
    Ok(connection)
}

/// True for a file that no retry can open: damaged, not a database at all, or of a newer release.
fn is_useless(error: &rusqlite_migration::Error) -> bool {
    match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => {
            matches!(err.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
        }
        rusqlite_migration::Error::MigrationDefinition(_) => true,
        _ => false,
    }
}

fn set_aside(directory: &Path) -> std::io::Result<()> {
    std::fs::rename(directory.join(FILE), directory.join("views.db.unusable"))?;
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(directory.join(format!("{FILE}{suffix}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// The shared subset's `$1` is SQLite's `?1`; tables in braces stand in no schema.
fn translate(sql: &str) -> String {
    sql.replace('$', "?").replace(['{', '}'], "")
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
        }))
    }
}

fn query(connection: &Connection, sql: &str, params: &[Cell]) -> rusqlite::Result<Vec<Cells>> {
    let mut statement = connection.prepare_cached(sql)?;
    let width = statement.column_count();
    let mut rows = statement.query(params_from_iter(params))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((0..width).map(|index| cell(row, index)).collect::<rusqlite::Result<_>>()?);
    }
    Ok(found)
}

fn cell(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Cell> {
    Ok(match row.get_ref(index)? {
        ValueRef::Integer(value) => Cell::Integer(value),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Cell::Null,
    })
}

fn matches_key(table: &Table) -> String {
    let terms: Vec<String> =
        table.key_columns().iter().enumerate().map(|(index, key)| format!("{} = ?{}", key.name, index + 1)).collect();
    terms.join(" and ")
}

fn load(connection: &Connection, table: &Table, generation: u32, keys: &[Cells]) -> rusqlite::Result<Vec<Cells>> {
    let (columns, name) = (table.column_list(), table.in_generation(generation));
    let sql = format!("select {columns} from {name} where {}", matches_key(table));
    let mut found = Vec::new();
    for key in keys {
        found.extend(query(connection, &sql, key)?);
    }
    Ok(found)
}

/// Prepared one-row statements: measured faster here than one statement over `json_each`.
fn write(connection: &Connection, changes: &[Change], checkpoints: &[(String, u64)]) -> rusqlite::Result<()> {
    for Change { table, generation, insert, put, delete } in changes {
        let name = table.in_generation(*generation);
        if !delete.is_empty() {
            let mut statement =
                connection.prepare_cached(&format!("delete from {name} where {}", matches_key(table)))?;
            for key in delete {
                statement.execute(params_from_iter(key))?;
            }
        }
        for (rows, sql) in [(insert, insert_statement(table, &name)), (put, put_statement(table, &name))] {
            if rows.is_empty() {
                continue;
            }
            let mut statement = connection.prepare_cached(&sql)?;
            for row in rows {
                statement.execute(params_from_iter(row))?;
            }
        }
    }
    let mut statement = connection.prepare_cached("update checkpoints set position = ?2 where name = ?1")?;
    for (name, position) in checkpoints {
        statement.execute((name, i64::try_from(*position).unwrap_or(i64::MAX)))?;
    }
    Ok(())
}

fn leap(connection: &Connection, changes: &[Change], moves: Vec<Move>) -> rusqlite::Result<bool> {
    // Rolled back when dropped.
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let mut statement = transaction.prepare_cached("select position from checkpoints where name = ?1")?;
    for Move { checkpoint, from, .. } in &moves {
        let position: Option<u64> = statement.query_row([checkpoint], |row| row.get(0)).optional()?;
        if position != Some(*from) {
            return Ok(false);
        }
    }
    drop(statement);
    let moves: Vec<_> = moves.into_iter().map(|Move { checkpoint, to, .. }| (checkpoint, to)).collect();
    write(&transaction, changes, &moves)?;
    transaction.commit()?;
    Ok(true)
}

fn insert_statement(table: &Table, name: &str) -> String {
    let places: Vec<String> = (1..=table.columns.len()).map(|index| format!("?{index}")).collect();
    format!("insert into {name} ({}) values ({})", table.column_list(), places.join(", "))
}

fn put_statement(table: &Table, name: &str) -> String {
    let sets: Vec<String> = table
        .value_columns()
        .iter()
        .map(|column| match table.write {
            Write::Replace | Write::Blind => format!("{0} = excluded.{0}", column.name),
            Write::Add => format!("{0} = {0} + excluded.{0}", column.name),
        })
        .collect();
    let (insert, key, sets) = (insert_statement(table, name), table.key_list(), sets.join(", "));
    format!("{insert} on conflict ({key}) do update set {sets}")
}

fn create_statements(tables: &[Table], generation: u32) -> String {
    let mut sql = String::new();
    for table in tables {
        let name = table.in_generation(generation);
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| {
                let kind = match column.kind {
                    Kind::Integer => "integer",
                    Kind::Text => "text",
                };
                format!("{} {kind}{}", column.name, if column.nullable { "" } else { " not null" })
            })
            .collect();
        // An integer key alone is the row's own number; every other key had better be the table itself.
        let rowid =
            if matches!(table.key_columns(), [only] if only.kind == Kind::Integer) { "" } else { ", without rowid" };
        let (columns, key) = (columns.join(", "), table.key_list());
        // Writing to a String can't fail.
        let _ = writeln!(sql, "create table {name} ({columns}, primary key ({key})) strict{rowid};");
    }
    sql
}

fn index_statements(tables: &[Table], generation: u32) -> String {
    let mut sql = String::new();
    for table in tables {
        let name = table.in_generation(generation);
        for (index, list) in table.indexes.iter().enumerate() {
            let _ = writeln!(sql, "create index {name}_{index} on {name} ({list});");
        }
    }
    sql
}

fn store_error(error: rusqlite::Error) -> StoreError {
    if let rusqlite::Error::SqliteFailure(_, Some(message)) = &error
        && message.starts_with("no such table")
    {
        return StoreError::UndefinedTable;
    }
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted,
        ) => StoreError::unavailable(error),
        _ => StoreError::refused(error),
    }
}
