//! The handle: opens the views, runs their projectors, answers their queries.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenure_event_log::{EngineConfig, EventLog, Position};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::batch::{Cell, Cells, Store, StoreError};
use crate::generation::Checkpoint;
use crate::progress::Progress;
use crate::projector::Projector;
use crate::view::{Versions, View};
use crate::{OpenError, ProjectionStatus, QueryError, RebuildError, generation, housekeeping, rebuild};

/// What the views are opened with.
#[derive(Clone, Debug)]
pub struct ViewsConfig {
    /// The log's engine: `views.db` stands beside `log.db`, the schema `views` beside the events.
    pub engine: EngineConfig,
    /// Connections (on SQLite: threads) that answer queries.
    pub readers: u32,
    /// Most events that a projector applies in one transaction.
    pub max_batch: usize,
    /// How long a replaced generation's tables stay, for readers that don't know yet, in milliseconds.
    pub drop_after_ms: u64,
    /// By how many versions each view is ahead of this release's: what a later release does to a database is tried out
    /// with 1.
    pub versions_ahead: u32,
}

impl ViewsConfig {
    /// The defaults: 4 readers, 500 events per batch, replaced tables stay a minute, this release's versions.
    #[must_use]
    pub const fn new(engine: EngineConfig) -> Self {
        Self { engine, readers: 4, max_batch: 500, drop_after_ms: 60_000, versions_ahead: 0 }
    }
}

/// All views of one log. Clones share everything.
#[derive(Clone)]
pub struct Views {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub config: ViewsConfig,
    pub log: EventLog,
    pub store: Store,
    pub progress: Progress,
    pub versions: Versions,
    pub stop: watch::Sender<bool>,
    /// By the system's clock, in microseconds.
    pub opened_at: i64,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Views {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Views").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Views {
    /// Opens the views beside a log that is migrated and open. On SQLite a missing or unusable `views.db` is made anew; a
    /// view that has no generation in this release's version gets an empty one. Nothing is applied before
    /// [`Views::start`].
    ///
    /// # Errors
    /// [`OpenError`] when the views' database or the log can't be used.
    pub async fn open(config: ViewsConfig, log: EventLog) -> Result<Self, OpenError> {
        let store = Store::open(&config.engine, config.readers).await?;
        let opened = Self::prepare(config, log, store.clone()).await;
        if opened.is_err() {
            store.close().await;
        }
        opened
    }

    /// Opens views that are there for queries only, also beside the service that writes them. [`Views::start`] is not for
    /// these.
    ///
    /// # Errors
    /// [`OpenError`] as for [`Views::open`], and where a view was never built by this release.
    pub async fn open_read_only(config: ViewsConfig, log: EventLog) -> Result<Self, OpenError> {
        let store = Store::open_read_only(&config.engine, config.readers).await?;
        let opened = Self::assemble(config, log, store.clone()).await;
        if opened.is_err() {
            store.close().await;
        }
        opened
    }

    async fn prepare(config: ViewsConfig, log: EventLog, store: Store) -> Result<Self, OpenError> {
        let mut session = store.session().await?;
        generation::ensure_live(&mut session, Versions { ahead: config.versions_ahead }, &log).await?;
        drop(session);
        Self::assemble(config, log, store).await
    }

    async fn assemble(config: ViewsConfig, log: EventLog, store: Store) -> Result<Self, OpenError> {
        let opened_at = generation::wall_clock_micros();
        let versions = Versions { ahead: config.versions_ahead };
        let progress = Progress::new(versions);
        let committed = generation::committed(&store, versions).await?;
        if let Some(view) = View::ALL.into_iter().find(|view| committed.iter().all(|c| c.view != *view)) {
            return Err(OpenError::NotBuilt { view: view.name() });
        }
        progress.reached(&committed);
        progress.expect(log.head().await?);
        let stop = watch::Sender::new(false);
        let tasks = Mutex::new(Vec::new());
        let shared = Shared { config, log, store, progress, versions, stop, opened_at, tasks };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Starts applying events, in tasks of its own, until [`Views::shutdown`].
    pub fn start(&self) {
        self.shared.spawn(Projector::new(Arc::clone(&self.shared)).run());
        self.shared.spawn(housekeeping::run(Arc::clone(&self.shared)));
    }

    /// Waits until every live view has passed a position, whichever instance applies it. False if they have not within
    /// the time, or if one of them stands before an event that can't be applied.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> bool {
        let Shared { progress, store, log, .. } = &*self.shared;
        let until = tokio::time::Instant::now() + timeout;
        loop {
            if progress.checked() != store.restarts() && !self.look_again().await {
                return false;
            }
            if !progress.wait_for(log, position, until.saturating_duration_since(tokio::time::Instant::now())).await {
                return false;
            }
            // A restart noticed meanwhile may have undone what was waited for.
            if progress.checked() == store.restarts() {
                return true;
            }
        }
    }

    /// After a restart of the database: takes back what it undid. False if the database can't be asked.
    async fn look_again(&self) -> bool {
        let restarts = self.shared.store.restarts();
        let looked = self.look().await.is_ok();
        if looked {
            self.shared.progress.check(restarts);
        }
        looked
    }

    /// Takes over what is committed, be it less than what was known: by then it was undone, or begun anew.
    async fn look(&self) -> Result<Vec<Checkpoint>, StoreError> {
        let Shared { progress, store, versions, .. } = &*self.shared;
        let known = progress.known();
        let committed = generation::committed(store, *versions).await?;
        progress.fell_back(&known, &committed);
        progress.reached(&committed);
        Ok(committed)
    }

    /// The position that every live view has passed.
    #[must_use]
    pub fn position(&self) -> Position {
        self.shared.progress.all_passed()
    }

    /// What every live view must have passed before the instance is ready: the head that the log had when the views were
    /// opened, and what they themselves had passed before the database lost it or they were begun anew.
    #[must_use]
    pub fn due(&self) -> Position {
        self.shared.progress.due()
    }

    /// Every generation of every view: the live ones in a fixed order, then those being built.
    #[must_use]
    pub fn status(&self) -> Vec<ProjectionStatus> {
        self.shared.progress.status()
    }

    /// The names of all views.
    #[must_use]
    pub fn names() -> [&'static str; 6] {
        View::ALL.map(View::name)
    }

    /// Builds a new generation of a view from position 0 beside the live one and puts it in its place; commands and
    /// queries go on. Resolves when queries read the new one. Goes on if the caller stops waiting; breaks off, without
    /// harm, at [`Views::shutdown`].
    ///
    /// # Errors
    /// [`RebuildError`]; the live generation stays.
    pub async fn rebuild(&self, name: &str) -> Result<(), RebuildError> {
        let mut outcomes = self.rebuild_together(&[name]).await?;
        outcomes.pop().map_or_else(|| Err(broken_off()), |(_, outcome)| outcome)
    }

    /// The same for several views, which takes less time than one after the other: the log is read once. Answers what
    /// became of each.
    ///
    /// # Errors
    /// [`RebuildError::UnknownView`], with nothing done.
    pub async fn rebuild_together(
        &self,
        names: &[impl AsRef<str>],
    ) -> Result<Vec<(&'static str, Result<(), RebuildError>)>, RebuildError> {
        let known = |name: &str| {
            View::named(name).ok_or_else(|| RebuildError::UnknownView {
                name: name.to_owned(),
                known: View::ALL.map(View::name).join(", "),
            })
        };
        let views = names.iter().map(|name| known(name.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let (answer, done) = tokio::sync::oneshot::channel();
        let shared = Arc::clone(&self.shared);
        self.shared.spawn(async move {
            // Whoever asked may have gone.
            let _ = answer.send(rebuild::run(&shared, &views).await);
        });
        let outcomes = done.await.map_err(|_| broken_off())?;
        Ok(outcomes.into_iter().map(|(view, outcome)| (view.name(), outcome)).collect())
    }

    /// Stops applying events after the batch in hand, and closes the database.
    pub async fn shutdown(&self) {
        self.shared.stop.send_replace(true);
        let tasks = self.shared.tasks.lock().map(|mut tasks| std::mem::take(&mut *tasks)).unwrap_or_default();
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a projector panicked");
            }
        }
        self.shared.store.close().await;
    }

    /// How far this process knows the billing view to be.
    pub(crate) fn billing_position(&self) -> Position {
        self.shared.progress.position(View::Billing)
    }

    /// Resolves when the billing view has passed a position.
    pub(crate) async fn billing_passed(&self, position: Position) {
        self.shared.progress.moved_past(View::Billing, position).await;
    }

    /// Their log.
    pub(crate) fn log(&self) -> &EventLog {
        &self.shared.log
    }

    /// Their database.
    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// How far a view's live generation is committed, by whichever instance.
    pub(crate) async fn committed_position(&self, view: View) -> Result<Position, QueryError> {
        let committed = self.look().await?;
        Ok(committed.iter().find(|checkpoint| checkpoint.view == view).map_or(Position::START, |c| c.position))
    }

    /// Runs a query of the shared SQL subset on a view's live generation; its tables stand in braces, without a suffix.
    pub(crate) async fn query(&self, view: View, sql: &str, params: Vec<Cell>) -> Result<Vec<Cells>, QueryError> {
        let store = &self.shared.store;
        let restarts = store.restarts();
        let answer = self.ask(view, sql, params).await?;
        // What the caller had waited for may be undone: rather no answer than an old one.
        if restarts == store.restarts() { Ok(answer) } else { Err(QueryError::Unavailable(Box::new(Restarted))) }
    }

    async fn ask(&self, view: View, sql: &str, params: Vec<Cell>) -> Result<Vec<Cells>, QueryError> {
        let store = &self.shared.store;
        let answer = store.query(&self.in_live_generation(view, sql), params.clone()).await;
        let Err(StoreError::UndefinedTable) = answer else { return Ok(answer?) };
        // Another instance replaced the generation long enough ago to have dropped it.
        self.look().await?;
        Ok(store.query(&self.in_live_generation(view, sql), params).await?)
    }

    fn in_live_generation(&self, view: View, sql: &str) -> String {
        sql.replace('}', &format!("_v{}}}", self.shared.progress.generation(view)))
    }
}

impl Shared {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Ok(mut tasks) = self.tasks.lock() {
            tasks.retain(|task| !task.is_finished());
            tasks.push(tokio::spawn(task));
        }
    }

    /// Resolves when the views are shut down.
    pub async fn stopped(&self) {
        // The sender lives as long as this does.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the database was restarted meanwhile, and the views may have lost their last batches; ask again")]
struct Restarted;

/// A rebuild ended with the process.
pub(crate) fn broken_off() -> RebuildError {
    RebuildError::Unavailable("the views were shut down".into())
}
