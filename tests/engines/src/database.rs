//! One database per test, so that tests neither wait for nor see each other.

use std::thread;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use uuid::Uuid;

/// An empty database on the server named by `DATABASE_URL`. Dropped with the value, also when the test panics.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    server: PgConnectOptions,
    url: String,
}

impl TestDatabase {
    /// Creates it.
    ///
    /// # Panics
    ///
    /// When `DATABASE_URL` is not set, or the server can't be reached or refuses.
    pub async fn create() -> Self {
        let server = std::env::var("DATABASE_URL")
            .expect("DATABASE_URL names no PostgreSQL server: run `make test`, which starts one");
        let server: PgConnectOptions = server.parse().expect("DATABASE_URL can't be understood");
        let name = format!("tenure_test_{}", Uuid::now_v7().simple());
        run(&server, &format!(r#"create database "{name}""#)).await.expect("creating a test database");
        let url = server.clone().database(&name).to_url_lossy().to_string();
        Self { name, server, url }
    }

    /// Where it is, as a `postgres://` URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    /// On a thread with a runtime of its own, since this may run inside one. `FORCE` ends connections that are left.
    fn drop(&mut self) {
        let drop = format!(r#"drop database if exists "{}" with (force)"#, self.name);
        let server = self.server.clone();
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(&server, &drop))
        });
        match dropped.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("test database {} is left behind: {error}", self.name),
            Err(_) => eprintln!("test database {} is left behind", self.name),
        }
    }
}

/// How many rows the server has read in each table of a schema, by scans and through indexes, as soon as nobody else is
/// connected to the database: a session's figures are complete when it has ended.
///
/// # Panics
///
/// When the server can't be reached, or somebody stays for 30 s.
pub async fn rows_read(url: &str, schema: &str) -> Vec<(String, i64)> {
    const OTHERS: &str = "select count(*) from pg_stat_activity \
                          where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";
    const FIGURES: &str = "select t.relname::text, coalesce(t.seq_tup_read, 0) + coalesce(t.idx_tup_fetch, 0) \
                               + (select coalesce(sum(i.idx_tup_read), 0)::bigint \
                                  from pg_stat_user_indexes i where i.relid = t.relid) \
                           from pg_stat_user_tables t where t.schemaname = $1 order by 1";
    let mut connection = PgConnection::connect(url).await.expect("connecting to the test database");
    let began = Instant::now();
    while sqlx::query_scalar::<_, i64>(OTHERS).fetch_one(&mut connection).await.expect("asking who is connected") > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "somebody stays connected");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    sqlx::query_as(FIGURES).bind(schema).fetch_all(&mut connection).await.expect("reading the server's figures")
}

async fn run(server: &PgConnectOptions, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(server).await?;
    connection.execute(statement).await?;
    connection.close().await
}

/// Transactions in this connection's database that are older than a second, its own aside: who has them, and the last
/// statement of each.
///
/// # Panics
///
/// When the server can't be asked.
pub async fn old_transactions(observer: &mut PgConnection) -> Vec<String> {
    let sql = "select application_name || ': ' || query from pg_stat_activity where datname = current_database()
        and pid <> pg_backend_pid() and xact_start < clock_timestamp() - interval '1 s'";
    sqlx::query_scalar(sql).fetch_all(observer).await.expect("asking for the transactions")
}
