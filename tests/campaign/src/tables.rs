//! Reading the databases' tables behind the service's back, as text.

use anyhow::Context;
use rusqlite::types::ValueRef;
use rusqlite::{Connection as SqliteConnection, OpenFlags};
use sqlx::{Connection, Executor, PgConnection, Row, ValueRef as _};

use crate::cell::Cell;

/// Which database, or which schema of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Events, claims, limits, keys.
    Log,
    /// The views.
    Views,
}

/// The rows that a query finds, sorted, their cells with bars between. `{}` in it stands for the part's schema.
///
/// # Errors
/// The database can't be asked.
pub async fn rows(cell: &Cell, part: Part, sql: &str) -> anyhow::Result<Vec<String>> {
    let mut found = match (cell.database(), part) {
        (Some(url), Part::Log) => postgres(url, &sql.replace("{}", "public.")).await,
        (Some(url), Part::Views) => postgres(url, &sql.replace("{}", "views.")).await,
        (None, Part::Log) => sqlite(&cell.data().join("log.db"), &sql.replace("{}", "")),
        (None, Part::Views) => sqlite(&cell.data().join("views.db"), &sql.replace("{}", "")),
    }
    .with_context(|| format!("asking {sql}"))?;
    found.sort();
    Ok(found)
}

async fn postgres(url: &str, sql: &str) -> anyhow::Result<Vec<String>> {
    let mut connection = PgConnection::connect(url).await?;
    // The simple protocol answers in text, whatever the types.
    let rows = connection.fetch_all(sqlx::raw_sql(sql)).await?;
    let text = |row: &sqlx::postgres::PgRow| -> anyhow::Result<String> {
        let cells = (0..row.len()).map(|index| {
            let value = row.try_get_raw(index)?;
            if value.is_null() {
                return Ok("-".to_owned());
            }
            Ok(value.as_str().map_err(anyhow::Error::from_boxed)?.to_owned())
        });
        Ok(cells.collect::<anyhow::Result<Vec<_>>>()?.join("|"))
    };
    let texts = rows.iter().map(text).collect();
    connection.close().await?;
    texts
}

fn sqlite(path: &std::path::Path, sql: &str) -> anyhow::Result<Vec<String>> {
    let connection = SqliteConnection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare(sql)?;
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cells = (0..width).map(|index| {
            Ok(match row.get_ref(index)? {
                ValueRef::Null => "-".to_owned(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Blob(bytes) => format!("{bytes:02x?}"),
            })
        });
        Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
