//! The views on `PostgreSQL`: schema `views` beside the log, shared by every instance.
//!
//! A batch is three or four round trips: begin and take the checkpoint rows; load the rows that are not cached; one
//! statement that writes every table and moves the checkpoints; commit. Nothing is flushed for it
//! (`synchronous_commit=off`): after a crash of the server the lost tail is applied again.

mod copy;
mod restarts;
mod statements;

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Column as _, Connection as _, Executor, PgConnection, PgPool, Row, TypeInfo};
use tenure_event_log::{PostgresServers, ServerWatch};
use uuid::Uuid;

use super::{Cell, Cells, Change, Move, StoreError, Table};
use crate::generation::Checkpoint;
use restarts::Restarts;
use statements::{
    begin_statement, create_statements, index_statements, leap_statement, load_statement, qualify, write_statement,
};

/// A call that takes longer hangs; its connection is given up.
const CALL_LIMIT: Duration = Duration::from_mins(1);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is asked whether it still lives; a busy one need not be.
const TRUSTED_IDLE: Duration = Duration::from_millis(500);

/// Sorting a large table's keys in memory, within a transaction.
const INDEXING: &str = "set local statement_timeout = 0; set local maintenance_work_mem = '64MB'; ";

const TAKE_LEASE: &str = "
    insert into views.leases as held (name, holder, generation, until)
    values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
    on conflict (name) do update set
        holder = excluded.holder,
        generation = held.generation + case when held.holder = excluded.holder then 0 else 1 end,
        until = excluded.until
    where held.holder = excluded.holder or held.until <= clock_timestamp()
    returning generation";

type Statement<'q> = Query<'q, sqlx::Postgres, PgArguments>;
type Answer = Result<Result<Vec<PgRow>, sqlx::Error>, tokio::time::error::Elapsed>;

/// The views' database: a pool for readers, and where a projector's connection is made to.
#[derive(Clone)]
pub(crate) struct Postgres {
    readers: PgPool,
    _watch: ServerWatch,
    servers: PostgresServers,
    restarts: Arc<Restarts>,
}

impl Postgres {
    pub async fn open(url: &SecretString, readers: u32) -> Result<Self, StoreError> {
        let servers = PostgresServers::parse(url.expose_secret())
            .map_err(|reason| StoreError::unavailable(std::io::Error::other(reason)))?;
        let restarts = Arc::new(Restarts::default());
        let readers = PgPoolOptions::new()
            .max_connections(readers.max(1))
            .acquire_timeout(CONNECT_LIMIT)
            .test_before_acquire(false)
            .before_acquire(|connection, state| {
                Box::pin(async move { Ok(state.idle_for < TRUSTED_IDLE || connection.ping().await.is_ok()) })
            })
            .after_connect({
                let (servers, restarts) = (servers.clone(), Arc::clone(&restarts));
                move |connection, _| {
                    let (servers, restarts) = (servers.clone(), Arc::clone(&restarts));
                    Box::pin(async move {
                        servers.refuse_standby(connection).await?;
                        restarts.connected(connection).await
                    })
                }
            });
        let (readers, watch) = servers.pool(readers, for_reading).await.map_err(|error| store_error(error).0)?;
        Ok(Self { readers, _watch: watch, servers, restarts })
    }

    pub async fn query(&self, sql: &str, params: Vec<Cell>) -> Result<Vec<Cells>, StoreError> {
        let sql = qualify(sql);
        let mut answer = self.readers.fetch_all(bind(&sql, params.clone())).await;
        // A pooled connection may have gone with the server; so may the others.
        for _ in 0..self.readers.options().get_max_connections() {
            if !answer.as_ref().is_err_and(is_stale_connection) {
                break;
            }
            answer = self.readers.fetch_all(bind(&sql, params.clone())).await;
        }
        answer.map_err(|error| store_error(error).0)?.iter().map(cells).collect()
    }

    pub fn restarts(&self) -> u64 {
        self.restarts.count()
    }

    pub async fn session(&self) -> Result<Session, StoreError> {
        let mut session = Session { servers: self.servers.clone(), connection: None };
        session.connection = Some(session.take().await?);
        Ok(session)
    }

    pub async fn close(&self) {
        self.readers.close().await;
    }
}

fn for_reading(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("tenure views").options([
        ("statement_timeout", "30s"),
        ("default_transaction_read_only", "on"),
        ("jit", "off"),
    ])
}

/// A frozen instance must not hold a checkpoint's row for long, nor may a statement planned while a table was empty go on
/// scanning it when it has grown: everything a projector asks for is found by a key.
fn for_projecting(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("tenure projector").options([
        ("synchronous_commit", "off"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("statement_timeout", "60s"),
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("plan_cache_mode", "force_generic_plan"),
        ("jit", "off"),
    ])
}

/// A projector's connection; replaced when it breaks.
pub(crate) struct Session {
    servers: PostgresServers,
    connection: Option<Box<Open>>,
}

struct Open {
    connection: PgConnection,
    in_transaction: bool,
}

impl Session {
    /// Runs prepared SQL.
    async fn run(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>, StoreError> {
        // Put back only once the answer is here: a connection that broke, or whose caller went away, is given up.
        let mut open = self.take().await?;
        let answer = tokio::time::timeout(CALL_LIMIT, open.connection.fetch_all(statement)).await;
        self.settle(open, answer)
    }

    /// Runs SQL without parameters, several statements at once if need be. `transaction`: whether it leaves one open.
    async fn run_plain(&mut self, sql: &str, transaction: Option<bool>) -> Result<Vec<PgRow>, StoreError> {
        let mut open = self.take().await?;
        let answer = tokio::time::timeout(CALL_LIMIT, open.connection.fetch_all(sqlx::raw_sql(sql))).await;
        open.in_transaction = transaction.unwrap_or(open.in_transaction);
        self.settle(open, answer)
    }

    async fn take(&mut self) -> Result<Box<Open>, StoreError> {
        if let Some(open) = self.connection.take() {
            return Ok(open);
        }
        let connection = tokio::time::timeout(CONNECT_LIMIT, self.servers.connect(for_projecting))
            .await
            .map_err(StoreError::unavailable)?
            .map_err(|error| store_error(error).0)?;
        Ok(Box::new(Open { connection, in_transaction: false }))
    }

    fn settle(&mut self, open: Box<Open>, answer: Answer) -> Result<Vec<PgRow>, StoreError> {
        match answer {
            Ok(Ok(rows)) => {
                self.connection = Some(open);
                Ok(rows)
            }
            Ok(Err(error)) => {
                let (error, usable) = store_error(error);
                self.connection = usable.then_some(open);
                Err(error)
            }
            Err(elapsed) => Err(StoreError::unavailable(elapsed)),
        }
    }

    pub async fn begin(&mut self, views: &[(&'static str, u32)]) -> Result<Vec<Checkpoint>, StoreError> {
        self.rollback().await?;
        // If the second half fails, the first has begun a transaction all the same: the next begin ends it.
        let rows = self.run_plain(&begin_statement(views), Some(true)).await?;
        rows.iter().map(|row| Checkpoint::from_cells(&cells(row)?)).collect()
    }

    pub async fn lock(&mut self, checkpoint: &str) -> Result<Option<u64>, StoreError> {
        let sql = "select position from {checkpoints} where name = $1 for update";
        let rows = self.query(sql, vec![checkpoint.into()]).await?;
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
        let statement = load_statement(table, generation, keys);
        self.run(statement.query()).await?.iter().map(cells).collect()
    }

    pub async fn write(&mut self, mut changes: Vec<Change>, checkpoints: Vec<(String, u64)>) -> Result<(), StoreError> {
        for change in &mut changes {
            if change.insert.len() >= copy::WORTHWHILE {
                self.copy(change.table, change.generation, &std::mem::take(&mut change.insert)).await?;
            }
        }
        let statement = write_statement(changes, checkpoints);
        self.run(statement.query()).await.map(drop)
    }

    async fn copy(&mut self, table: &Table, generation: u32, rows: &[Cells]) -> Result<(), StoreError> {
        let (statement, data) = (copy::statement(table, generation), copy::encode(table, rows));
        let mut open = self.take().await?;
        let copied = async {
            let mut copy = open.connection.copy_in_raw(&statement).await?;
            copy.send(data).await?;
            copy.finish().await
        };
        let answer = tokio::time::timeout(CALL_LIMIT, copied).await;
        self.settle(open, answer.map(|copied| copied.map(|_| Vec::new()))).map(drop)
    }

    pub async fn leap(&mut self, changes: Vec<Change>, moves: Vec<Move>) -> Result<bool, StoreError> {
        self.rollback().await?;
        let wanted = moves.len();
        let statement = leap_statement(changes, moves);
        let rows = self.run(statement.query()).await?.len();
        Ok(rows == wanted)
    }

    pub async fn create_tables(&mut self, tables: &'static [Table], generation: u32) -> Result<(), StoreError> {
        self.run_plain(&create_statements(tables, generation), None).await.map(drop)
    }

    /// As long as it takes: that a server is gone is noticed by the connection's keep-alives.
    pub async fn create_indexes(&mut self, tables: &'static [Table], generation: u32) -> Result<(), StoreError> {
        let sql = format!("{INDEXING}{}", index_statements(tables, generation));
        let mut open = self.take().await?;
        let answer = open.connection.fetch_all(sqlx::raw_sql(&sql)).await;
        self.settle(open, Ok(answer)).map(drop)
    }

    pub async fn make_durable(&mut self) -> Result<(), StoreError> {
        self.run_plain("set local synchronous_commit = on", None).await.map(drop)
    }

    pub async fn query(&mut self, sql: &str, params: Vec<Cell>) -> Result<Vec<Cells>, StoreError> {
        let sql = qualify(sql);
        self.run(bind(&sql, params)).await?.iter().map(cells).collect()
    }

    pub async fn take_lease(&mut self, name: &str, holder: Uuid, time: Duration) -> Result<Option<u64>, StoreError> {
        // Forgotten in a crash of the server, it ends early: whatever hangs on it has a second lock.
        let rows =
            self.run(sqlx::query(TAKE_LEASE).bind(name).bind(holder.to_string()).bind(time.as_secs_f64())).await?;
        Ok(match rows.first().map(cells).transpose()?.as_deref() {
            Some([Cell::Integer(generation)]) => u64::try_from(*generation).ok(),
            _ => None,
        })
    }

    pub async fn release_lease(&mut self, name: &str, holder: Uuid) -> Result<(), StoreError> {
        const RELEASE: &str = "update views.leases set until = clock_timestamp() where name = $1 and holder = $2";
        self.run(sqlx::query(RELEASE).bind(name).bind(holder.to_string())).await.map(drop)
    }

    pub async fn commit(&mut self) -> Result<(), StoreError> {
        if self.connection.as_ref().is_none_or(|open| !open.in_transaction) {
            return Err(StoreError::unavailable(std::io::Error::other("the connection was lost before the commit")));
        }
        self.run_plain("commit", Some(false)).await.map(drop)
    }

    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        if self.connection.as_ref().is_some_and(|open| open.in_transaction) {
            self.run_plain("rollback", Some(false)).await?;
        }
        Ok(())
    }
}

fn bind(sql: &str, params: Vec<Cell>) -> Statement<'_> {
    params.into_iter().fold(sqlx::query(sql), |query, param| match param {
        Cell::Integer(value) => query.bind(value),
        Cell::Text(value) => query.bind(value),
        Cell::Null => query.bind(None::<String>),
    })
}

fn cells(row: &PgRow) -> Result<Cells, StoreError> {
    row.columns()
        .iter()
        .map(|column| match column.type_info().name() {
            "INT8" => row.try_get::<Option<i64>, _>(column.ordinal()).map(Cell::from),
            _ => row.try_get::<Option<String>, _>(column.ordinal()).map(Cell::from),
        })
        .collect::<Result<_, _>>()
        .map_err(StoreError::refused)
}

/// Whether a query failed because its connection was gone, so that another one may do better.
fn is_stale_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(broken) => broken.kind() != std::io::ErrorKind::TimedOut,
        sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(raised) => raised.code().is_some_and(|code| code == "57P01" || code == "57P02"),
        _ => false,
    }
}

/// The error for our callers, and whether the connection can still be used.
fn store_error(error: sqlx::Error) -> (StoreError, bool) {
    let sqlx::Error::Database(database) = &error else {
        let usable =
            matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_));
        let error = if usable { StoreError::refused(error) } else { StoreError::unavailable(error) };
        return (error, usable);
    };
    let code = database.code().unwrap_or_default().into_owned();
    match code.get(..2).unwrap_or_default() {
        _ if code == "42P01" => (StoreError::UndefinedTable, true),
        // Connection, resources, operator's intervention, system, idle in transaction.
        "08" | "25" | "53" | "57" | "58" => (StoreError::unavailable(error), false),
        // Serialization, deadlock, lock not available.
        "40" | "55" => (StoreError::unavailable(error), true),
        _ => (StoreError::refused(error), true),
    }
}
