//! Everything that stands in the views' tables, for comparing and for searching.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection as SqliteConnection, OpenFlags};
use sqlx::{Connection, PgConnection, Row};

use crate::deployment::{Deployment, Place};

/// The rows of each table, as text and in order. Tables are named without their generation.
pub type Dump = BTreeMap<String, Vec<String>>;

/// The tables of the live generations.
pub async fn dump(deployment: &Deployment) -> Dump {
    let live = "select g.tables from {}generations g join {}pointers p \
                on p.view_name = g.view_name and p.generation = g.generation";
    let mut dump = Dump::new();
    for tables in rows(deployment, live).await {
        for table in tables.split(',') {
            let (name, _) = table.rsplit_once("_v").unwrap();
            dump.insert(name.to_owned(), rows(deployment, &format!("select * from {{}}{table}")).await);
        }
    }
    dump
}

/// The names of all generations whose tables exist, `tenants_v1` for example, after what the catalogue says.
pub async fn generations(deployment: &Deployment) -> Vec<String> {
    rows(deployment, "select view_name || '_v' || generation from {}generations").await
}

/// The rows that a query finds, sorted; `{}` stands for the schema.
pub async fn rows(deployment: &Deployment, sql: &str) -> Vec<String> {
    let mut found = match &deployment.place {
        Place::Sqlite(directory) => {
            let path = directory.path().join("views.db");
            sqlite(&SqliteConnection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap(), sql)
        }
        Place::Postgres(database) => {
            let mut connection = PgConnection::connect(database.url()).await.unwrap();
            let sql = sql.replace("{}", "views.");
            let as_text = format!(
                "select concat_ws('|', variadic array(select value from json_each_text(to_json(r)))) from ({sql}) r"
            );
            let rows = sqlx::query(&as_text).fetch_all(&mut connection).await.unwrap();
            rows.iter().map(|row| row.get::<String, _>(0)).collect()
        }
    };
    found.sort();
    found
}

fn sqlite(connection: &SqliteConnection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&sql.replace("{}", "")).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cells = (0..width).filter_map(|index| match row.get_ref(index).unwrap() {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            other => panic!("{other:?} in a view"),
        });
        Ok(cells.collect::<Vec<_>>().join("|"))
    });
    rows.unwrap().map(Result::unwrap).collect()
}
