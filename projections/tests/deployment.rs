//! A deployment of a test's own: an engine, a log, and views on it.

use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use rusqlite::Connection as SqliteConnection;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tenure_event_log::{Clock, EngineConfig, EventLog, LogConfig, MasterKey, OpenError, Position};
use tenure_projections::{Views, ViewsConfig};
use tenure_test_engines::TestDatabase;

/// Longer than anything here should take.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct Deployment {
    pub place: Place,
    key: MasterKey,
    keys: TempDir,
}

pub enum Place {
    Sqlite(TempDir),
    Postgres(Box<TestDatabase>),
}

impl Deployment {
    pub async fn sqlite() -> Self {
        Self::at(Place::Sqlite(TempDir::new().unwrap())).await
    }

    pub async fn postgres() -> Self {
        Self::at(Place::Postgres(Box::new(TestDatabase::create().await))).await
    }

    async fn at(place: Place) -> Self {
        let keys = TempDir::new().unwrap();
        let key = MasterKey::load_or_create(&keys.path().join("master.key")).unwrap();
        let deployment = Self { place, key, keys };
        EventLog::migrate(&deployment.engine()).await.unwrap();
        deployment
    }

    pub fn engine(&self) -> EngineConfig {
        match &self.place {
            Place::Sqlite(directory) => EngineConfig::Sqlite { directory: directory.path().to_owned() },
            Place::Postgres(database) => EngineConfig::Postgres { url: database.url().into(), max_connections: 4 },
        }
    }

    /// Where other processes find the key.
    pub fn master_key_file(&self) -> PathBuf {
        self.keys.path().join("master.key")
    }

    pub async fn log(&self) -> EventLog {
        self.log_ahead(TimeDelta::zero()).await
    }

    /// A log whose clock is ahead.
    pub async fn log_ahead(&self, ahead: TimeDelta) -> EventLog {
        let config = LogConfig::new(self.engine(), self.key.clone(), Clock::with_offset(ahead));
        // Whoever had it before may need a moment to let go of the directory.
        eventually("the log is free", async || match EventLog::open(config.clone()).await {
            Err(OpenError::Locked { .. }) => None,
            opened => Some(opened.unwrap()),
        })
        .await
    }

    /// Views that are running.
    pub async fn views(&self, log: &EventLog) -> Views {
        self.views_with(log, |_| {}).await
    }

    pub async fn views_with(&self, log: &EventLog, configure: impl FnOnce(&mut ViewsConfig)) -> Views {
        let mut config = ViewsConfig::new(self.engine());
        configure(&mut config);
        let views = Views::open(config, log.clone()).await.unwrap();
        views.start();
        views
    }

    /// Views for queries only, beside those that run.
    pub async fn views_read_only(&self, log: &EventLog) -> Views {
        Views::open_read_only(ViewsConfig::new(self.engine()), log.clone()).await.unwrap()
    }

    /// A log and running views.
    pub async fn open(&self) -> (EventLog, Views) {
        let log = self.log().await;
        let views = self.views(&log).await;
        (log, views)
    }

    /// Runs SQL on the views' database behind their back; `{}` stands for the schema.
    pub async fn meddle_with_views(&self, sql: &str) {
        match &self.place {
            Place::Sqlite(directory) => {
                let connection = SqliteConnection::open(directory.path().join("views.db")).unwrap();
                connection.busy_timeout(PATIENCE).unwrap();
                connection.execute_batch(&sql.replace("{}", "")).unwrap();
            }
            Place::Postgres(_) => self.meddle(&sql.replace("{}", "views.")).await,
        }
    }

    /// Runs SQL on the log's database behind the log's back.
    pub async fn meddle(&self, sql: &str) {
        match &self.place {
            Place::Sqlite(directory) => {
                let connection = SqliteConnection::open(directory.path().join("log.db")).unwrap();
                connection.busy_timeout(PATIENCE).unwrap();
                connection.execute_batch(sql).unwrap();
            }
            Place::Postgres(database) => {
                let mut connection = PgConnection::connect(database.url()).await.unwrap();
                connection.execute(sql).await.unwrap();
            }
        }
    }
}

/// The views, once they have passed the position.
pub async fn passed(views: &Views, position: Position) {
    assert!(views.wait_for(position, PATIENCE).await, "{position} was not passed: {:?}", views.status());
}

/// Waits until something holds.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("never: {what}"))
}
