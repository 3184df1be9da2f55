//! A fresh log on either engine, and the means to get in its way.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection as Sqlite;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection, Row};
use tempfile::TempDir;
use tenure_event_log::{
    Append, AppendError, Appended, Clock, EngineConfig, EventLog, Lane, LogConfig, MasterKey, Position, RecordedEvent,
};
use tenure_test_engines::TestDatabase;

use crate::facts;

/// Declares rules that both engines must keep, each with one test per engine.
macro_rules! on_both_engines {
    ($($(#[doc = $doc:literal])* async fn $rule:ident($bench:ident: &Bench) $body:block)*) => {
        $(
            $(#[doc = $doc])*
            mod $rule {
                use super::*;

                async fn rule($bench: &Bench) $body

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() {
                    rule(&Bench::sqlite().await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() {
                    rule(&Bench::postgres().await).await;
                }
            }
        )*
    };
}

/// One log: where it is and with which key it is sealed.
pub struct Bench {
    place: Place,
    keys: TempDir,
    pub master_key: MasterKey,
}

enum Place {
    Sqlite(TempDir),
    Postgres(Box<TestDatabase>),
}

/// While it lives, nobody can commit an append.
pub enum Stall {
    Sqlite(Sqlite),
    Postgres(PgConnection),
}

/// A transaction of somebody else's that stays open: it has read the log and, on `PostgreSQL`, written another table.
pub enum Bystander {
    Sqlite(Sqlite),
    Postgres(PgConnection),
}

impl Bench {
    pub async fn sqlite() -> Self {
        Self::prepared(Place::Sqlite(tempfile::tempdir().unwrap())).await
    }

    pub async fn postgres() -> Self {
        Self::prepared(Place::Postgres(Box::new(TestDatabase::create().await))).await
    }

    async fn prepared(place: Place) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let master_key = MasterKey::load_or_create(&keys.path().join("master.key")).unwrap();
        let bench = Self { place, keys, master_key };
        EventLog::migrate(&bench.engine()).await.unwrap();
        bench
    }

    pub fn engine(&self) -> EngineConfig {
        match &self.place {
            Place::Sqlite(directory) => EngineConfig::Sqlite { directory: directory.path().to_path_buf() },
            Place::Postgres(_) => EngineConfig::Postgres { url: self.url(), max_connections: 4 },
        }
    }

    pub fn config(&self) -> LogConfig {
        LogConfig::new(self.engine(), self.master_key.clone(), Clock::default())
    }

    pub async fn log(&self) -> EventLog {
        EventLog::open(self.config()).await.unwrap()
    }

    pub fn master_key_file(&self) -> PathBuf {
        self.keys.path().join("master.key")
    }

    pub fn directory(&self) -> &Path {
        match &self.place {
            Place::Sqlite(directory) => directory.path(),
            Place::Postgres(_) => panic!("this bench has no directory"),
        }
    }

    pub fn url(&self) -> SecretString {
        match &self.place {
            Place::Sqlite(_) => panic!("this bench has no server"),
            Place::Postgres(database) => database.url().into(),
        }
    }

    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(self.url().expose_secret()).await.unwrap()
    }

    fn file(&self) -> Sqlite {
        Sqlite::open(self.directory().join("log.db")).unwrap()
    }

    /// Changes the database behind the log's back. On SQLite no log may be open meanwhile.
    pub async fn tamper(&self, sql: &str) {
        let changed = match &self.place {
            Place::Sqlite(_) => self.file().execute(sql, []).unwrap() as u64,
            Place::Postgres(_) => sqlx::query(sql).execute(&mut self.connect().await).await.unwrap().rows_affected(),
        };
        assert!(changed > 0, "nothing changed by {sql}");
    }

    /// Everything that the database holds, as bytes: files on SQLite, all rows as text on `PostgreSQL`.
    pub async fn dump(&self) -> Vec<u8> {
        match &self.place {
            Place::Sqlite(directory) => {
                // Not read here: closing a file drops every lock that this process has on it, SQLite's too.
                let files = directory.path().read_dir().unwrap().map(|file| file.unwrap().path());
                Command::new("cat").args(files).output().unwrap().stdout
            }
            Place::Postgres(_) => {
                let mut connection = self.connect().await;
                let tables = "select table_schema || '.' || table_name from information_schema.tables
                    where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')";
                let mut dump = Vec::new();
                for table in sqlx::query_scalar::<_, String>(tables).fetch_all(&mut connection).await.unwrap() {
                    let rows = format!("select t::text from {table} t");
                    for row in sqlx::query_scalar::<_, String>(&rows).fetch_all(&mut connection).await.unwrap() {
                        dump.extend(row.into_bytes());
                    }
                }
                dump
            }
        }
    }

    /// The bytes of all keys of one table, `tenant_keys` or `stream_keys`, that are not destroyed.
    pub async fn wrapped_keys(&self, table: &str) -> Vec<Vec<u8>> {
        let sql = format!("SELECT wrapped FROM {table} WHERE wrapped IS NOT NULL");
        match &self.place {
            Place::Sqlite(_) => {
                let file = self.file();
                let mut statement = file.prepare(&sql).unwrap();
                let keys = statement.query_map([], |row| row.get(0)).unwrap();
                keys.map(Result::unwrap).collect()
            }
            Place::Postgres(_) => {
                let rows = sqlx::query(&sql).fetch_all(&mut self.connect().await).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// The keys of all requests that are remembered, expired ones too.
    pub async fn requests(&self) -> Vec<String> {
        let sql = "SELECT key FROM idempotency ORDER BY key";
        match &self.place {
            Place::Sqlite(_) => {
                let file = self.file();
                let mut statement = file.prepare(sql).unwrap();
                let keys = statement.query_map([], |row| row.get(0)).unwrap();
                keys.map(Result::unwrap).collect()
            }
            Place::Postgres(_) => sqlx::query_scalar(sql).fetch_all(&mut self.connect().await).await.unwrap(),
        }
    }

    /// Pretends that a newer release has migrated the log.
    pub async fn migrate_beyond(&self) {
        match &self.place {
            Place::Sqlite(_) => self.file().pragma_update(None, "user_version", 99).unwrap(),
            Place::Postgres(_) => self.tamper("UPDATE log_meta SET schema_level = 99").await,
        }
    }

    /// Keeps every append from committing until it is dropped. Not for longer than the engines are patient (2 s).
    pub async fn stall(&self) -> Stall {
        match &self.place {
            Place::Sqlite(_) => {
                let file = self.file();
                file.busy_timeout(Duration::from_secs(5)).unwrap();
                file.execute_batch("BEGIN IMMEDIATE").unwrap();
                Stall::Sqlite(file)
            }
            Place::Postgres(_) => {
                let mut connection = self.connect().await;
                sqlx::query("BEGIN").execute(&mut connection).await.unwrap();
                sqlx::query("SELECT FROM log_head FOR UPDATE").execute(&mut connection).await.unwrap();
                Stall::Postgres(connection)
            }
        }
    }

    /// Opens a transaction that has looked at the log and stays open.
    pub async fn bystander(&self) -> Bystander {
        match &self.place {
            Place::Sqlite(_) => {
                let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
                let file = Sqlite::open_with_flags(self.directory().join("log.db"), flags).unwrap();
                file.execute_batch("BEGIN; SELECT count(*) FROM events").unwrap();
                Bystander::Sqlite(file)
            }
            Place::Postgres(_) => {
                let mut connection = self.connect().await;
                for sql in [
                    "CREATE TABLE IF NOT EXISTS elsewhere (n int)",
                    "BEGIN ISOLATION LEVEL REPEATABLE READ",
                    "INSERT INTO elsewhere VALUES (1)",
                    "SELECT count(*) FROM events",
                ] {
                    sqlx::query(sql).execute(&mut connection).await.unwrap();
                }
                Bystander::Postgres(connection)
            }
        }
    }

    /// Makes all these appends wait while another one is held up, so that they are committed together.
    pub async fn in_one_batch(&self, log: &EventLog, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        let stall = self.stall().await;
        let plug = spawn(log, facts::to_stream(&facts::stream(), 0));
        tokio::time::sleep(Duration::from_millis(100)).await;
        let waiting: Vec<_> = appends.into_iter().map(|append| spawn(log, append)).collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        stall.end().await;
        plug.await.unwrap().unwrap();
        let mut answers = Vec::new();
        for answer in waiting {
            answers.push(answer.await.unwrap());
        }
        answers
    }
}

impl Stall {
    pub async fn end(self) {
        match self {
            Self::Sqlite(file) => file.execute_batch("ROLLBACK").unwrap(),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}

impl Bystander {
    pub async fn end(self) {
        match self {
            Self::Sqlite(file) => file.execute_batch("ROLLBACK").unwrap(),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}

/// Appends in a task of its own.
pub fn spawn(log: &EventLog, append: Append) -> tokio::task::JoinHandle<Result<Appended, AppendError>> {
    let log = log.clone();
    tokio::spawn(async move { log.append(append, Lane::Foreground).await })
}

/// Appends and expects no refusal.
pub async fn append(log: &EventLog, append: Append) -> Appended {
    log.append(append, Lane::Foreground).await.unwrap()
}

/// Reads the whole log in pages, as anybody else would, and checks that no position is missing.
pub async fn everything(log: &EventLog) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events.last().map_or(Position::START, |event| event.position);
        let page = log.read(after, 500).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
        assert_eq!(events.last().unwrap().position.get(), events.len() as u64, "positions 1, 2, 3 ...");
    }
}
