//! Building new generations of views beside the live ones, and putting them in their place.
//!
//! Views that are rebuilt together read the log together: a page is read and decoded once, and each view applies it in a
//! task and a transaction of its own. One that can't go on is left out, and the others finish.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tenure_event_log::{EventLog, Position, ReadError};
use tokio::task::{JoinHandle, JoinSet};

use crate::RebuildError;
use crate::apply::{self, Applied, Page};
use crate::batch::{Cell, Session, StoreError};
use crate::generation::{self, Checkpoint, checkpoint_name};
use crate::rows::Rows;
use crate::view::View;
use crate::views::{Shared, broken_off};

/// Events per transaction: more than live batches have, since nobody waits for them one by one.
const BATCH: usize = 2_000;

/// What became of each view.
pub(crate) type Outcomes = Vec<(View, Result<(), RebuildError>)>;

/// A build, and how its last step went.
type Stepped = (Build, Result<(), RebuildError>);

pub(crate) async fn run(shared: &Arc<Shared>, views: &[View]) -> Outcomes {
    let mut rebuild = Rebuild { shared, building: Vec::new(), outcomes: Vec::new() };
    for view in views {
        rebuild.begin(*view).await;
    }
    rebuild.catch_up().await;
    rebuild.index().await;
    // What was appended meanwhile, before the live views have to stand still for it.
    rebuild.catch_up().await;
    rebuild.swap().await;
    rebuild.outcomes
}

/// Several views on their way, and those that have arrived or were given up.
struct Rebuild<'a> {
    shared: &'a Arc<Shared>,
    building: Vec<Build>,
    outcomes: Outcomes,
}

impl Rebuild<'_> {
    async fn begin(&mut self, view: View) {
        if !self.shared.progress.begin_building(view) {
            self.outcomes.push((view, Err(RebuildError::InProgress)));
            return;
        }
        match Build::start(self.shared, view).await {
            Ok(build) => self.building.push(build),
            Err(error) => self.end(view, Err(error)),
        }
    }

    /// Applies what follows, page by page, until little of the log is left.
    async fn catch_up(&mut self) {
        let position = self.building.first().map_or(Position::START, |build| build.position);
        let mut pages = Pages { log: &self.shared.log, position, ahead: None };
        while !self.building.is_empty() {
            let page = match pages.next().await {
                Ok(_) if self.shared.is_stopping() => return self.give_up_all(broken_off).await,
                Ok(page) => Arc::new(page),
                Err(error) => {
                    let error = Arc::new(error);
                    return self.give_up_all(|| RebuildError::Unavailable(Box::new(Arc::clone(&error)))).await;
                }
            };
            self.step(|mut build| {
                let page = Arc::clone(&page);
                async move {
                    let advanced = build.advance(&page).await;
                    (build, advanced)
                }
            })
            .await;
            // Close enough: under a steady stream of commands there is always a little left.
            if page.len() < BATCH / 2 {
                return;
            }
        }
    }

    async fn index(&mut self) {
        let builds = self.building.iter().map(|build| (build.view, build.generation)).collect();
        let alive = keep_alive(Arc::clone(self.shared), builds);
        let indexed = self.step(|mut build| async move {
            let indexed = build.index().await;
            (build, indexed)
        });
        tokio::select! {
            () = indexed => {}
            never = alive => match never {},
        }
    }

    async fn swap(&mut self) {
        self.step(|mut build| async move {
            let swapped = build.swap().await;
            (build, swapped)
        })
        .await;
        for build in std::mem::take(&mut self.building) {
            self.end(build.view, Ok(()));
        }
    }

    /// Lets every view take the same step, each in a task of its own: one core would be busy making rows, and the others idle.
    async fn step<F>(&mut self, step: impl Fn(Build) -> F)
    where
        F: Future<Output = Stepped> + Send + 'static,
    {
        let steps: JoinSet<Stepped> = std::mem::take(&mut self.building).into_iter().map(step).collect();
        let mut stepped = steps.join_all().await;
        // They come as they end.
        stepped.sort_by_key(|(build, _)| build.view);
        self.go_on(stepped).await;
    }

    /// Keeps those whose step worked.
    async fn go_on(&mut self, stepped: Vec<Stepped>) {
        for (mut build, step) in stepped {
            match step {
                Ok(()) => self.building.push(build),
                Err(error) => {
                    let outcome = match build.discard().await {
                        Ok(Discarded::Live) => Ok(()),
                        Ok(Discarded::Retired) => Err(error),
                        Err(failed) => Err(failed.into()),
                    };
                    self.end(build.view, outcome);
                }
            }
        }
    }

    async fn give_up_all(&mut self, error: impl Fn() -> RebuildError) {
        let given_up = std::mem::take(&mut self.building).into_iter().map(|build| (build, Err(error()))).collect();
        self.go_on(given_up).await;
    }

    fn end(&mut self, view: View, outcome: Result<(), RebuildError>) {
        self.shared.progress.end_building(view);
        match &outcome {
            Ok(()) => tracing::info!(view = view.name(), "view rebuilt"),
            Err(error) => tracing::error!(view = view.name(), %error, "view not rebuilt"),
        }
        self.outcomes.push((view, outcome));
    }
}

/// The log from a position, with the page after the one in hand being read and decoded while that one is applied.
struct Pages<'a> {
    log: &'a EventLog,
    position: Position,
    ahead: Option<JoinHandle<Result<Page, ReadError>>>,
}

impl Pages<'_> {
    async fn next(&mut self) -> Result<Page, ReadError> {
        let ahead = match self.ahead.take() {
            Some(ahead) => ahead.await.ok(),
            None => None,
        };
        let page = match ahead {
            Some(page) => page?,
            None => read(self.log.clone(), self.position).await?,
        };
        self.position = page.end();
        self.ahead = Some(tokio::spawn(read(self.log.clone(), self.position)));
        Ok(page)
    }
}

impl Drop for Pages<'_> {
    fn drop(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            ahead.abort();
        }
    }
}

async fn read(log: EventLog, after: Position) -> Result<Page, ReadError> {
    Ok(Page::new(after, log.read_payloads(after, BATCH).await?))
}

/// How often builds say that they are alive while nothing else does.
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// Says that builds are not abandoned, as long as it is polled: tables can take long to index, and those that are done with
/// theirs wait for the others.
async fn keep_alive(shared: Arc<Shared>, builds: Vec<(View, u32)>) -> Infallible {
    loop {
        tokio::time::sleep(KEEP_ALIVE).await;
        let touched = async {
            let mut session = shared.store.session().await?;
            for (view, generation) in &builds {
                generation::touch(&mut session, *view, *generation).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = touched.await {
            tracing::warn!(%error, "views that are being rebuilt could not say so");
        }
    }
}

/// What a build that is given up left behind.
enum Discarded {
    /// Nothing: its tables go with the next sweep.
    Retired,
    /// It is live: the answer to the swap's commit was lost, but the commit was not.
    Live,
}

/// One view's new generation.
struct Build {
    shared: Arc<Shared>,
    session: Session,
    view: View,
    generation: u32,
    rows: Option<Rows>,
    position: Position,
}

impl Build {
    async fn start(shared: &Arc<Shared>, view: View) -> Result<Self, RebuildError> {
        let mut session = shared.store.session().await?;
        let generation = generation::start_building(&mut session, shared.versions, view).await?;
        Ok(Self { shared: Arc::clone(shared), session, view, generation, rows: None, position: Position::START })
    }

    /// Applies a page in a transaction of its own.
    async fn advance(&mut self, page: &Page) -> Result<(), RebuildError> {
        let done = self.try_advance(page).await;
        self.ended(done).await
    }

    /// Leaves no transaction open: on SQLite the other views' wait for its end.
    async fn ended(&mut self, done: Result<(), RebuildError>) -> Result<(), RebuildError> {
        if done.is_err() {
            self.session.rollback().await?;
        }
        done
    }

    async fn try_advance(&mut self, page: &Page) -> Result<(), RebuildError> {
        self.session.begin(&[]).await?;
        self.touch().await?;
        self.apply(page).await?;
        Ok(self.session.commit().await?)
    }

    /// Says, in the transaction, that the build goes on, and makes sure that it does: one that was not heard of for long is
    /// dropped. Until the end of the transaction nobody drops it.
    async fn touch(&mut self) -> Result<(), RebuildError> {
        if generation::touch(&mut self.session, self.view, self.generation).await? {
            return Ok(());
        }
        Err(RebuildError::Unavailable(
            "the build was not heard of for so long that it was given up; start it again".into(),
        ))
    }

    /// Indexes the full tables, which is cheaper than with each row, where that doesn't lock out the live views.
    async fn index(&mut self) -> Result<(), RebuildError> {
        if !self.session.indexes_beside_writers() {
            return Ok(());
        }
        let indexed = async {
            self.session.begin(&[]).await?;
            self.session.create_indexes(self.view.tables(), self.generation).await?;
            self.session.commit().await
        };
        tokio::select! {
            indexed = indexed => Ok(indexed?),
            () = self.shared.stopped() => Err(broken_off()),
        }
    }

    /// Applies a page, in the transaction.
    async fn apply(&mut self, page: &Page) -> Result<(), RebuildError> {
        if page.is_empty() {
            return Ok(());
        }
        let rows = match self.rows.take() {
            Some(rows) => rows,
            None => Rows::new(self.view.tables(), self.generation, self.position),
        };
        let Applied { mut rows, position, problem } =
            apply::apply(&mut self.session, self.view, rows, page, BATCH).await?;
        if let Some(problem) = problem {
            return Err(RebuildError::Stopped(problem));
        }
        let moves = vec![(checkpoint_name(self.view, self.generation), position.get())];
        self.session.write(rows.changes(), moves).await?;
        rows.committed(position);
        self.rows = Some(rows);
        self.position = position;
        self.shared.progress.building(self.view, self.generation, position);
        Ok(())
    }

    /// In one transaction: holds the live checkpoint, so that it can't move any more, applies what it is ahead, and moves
    /// the pointer. So whoever saw an event in the old generation sees it in the new one.
    async fn swap(&mut self) -> Result<(), RebuildError> {
        let done = self.try_swap().await;
        self.ended(done).await
    }

    async fn try_swap(&mut self) -> Result<(), RebuildError> {
        self.session.begin(&[]).await?;
        // Takes the pointer's row, too.
        let sql = "update {pointers} set seen_at = $1 where view_name = $2 and version = $3 returning generation";
        let now = generation::wall_clock_micros().into();
        let params = vec![now, self.view.name().into(), i64::from(self.shared.versions.of(self.view)).into()];
        let rows = self.session.query(sql, params).await?;
        let live = match rows.first().map(Vec::as_slice) {
            Some([Cell::Integer(live)]) => u32::try_from(*live).map_err(StoreError::refused)?,
            _ => return Err(RebuildError::Unavailable("the view has no live generation".into())),
        };
        if live > self.generation {
            return Err(RebuildError::Unavailable("another process has rebuilt the view meanwhile".into()));
        }
        self.touch().await?;
        let ahead = self.session.lock(&checkpoint_name(self.view, live)).await?.unwrap_or_default();
        while self.position.get() < ahead {
            // Not what was read ahead, when the log may have been shorter.
            let page = read(self.shared.log.clone(), self.position).await?;
            if page.is_empty() {
                return Err(RebuildError::Unavailable("the live view is ahead of the log".into()));
            }
            self.apply(&page).await?;
        }
        generation::point_to(&mut self.session, self.shared.versions, self.view, live, self.generation).await?;
        self.session.commit().await?;
        self.went_live();
        Ok(())
    }

    /// From now on queries read it.
    fn went_live(&self) {
        let Self { view, generation, position, .. } = *self;
        self.shared.progress.reached(&[Checkpoint { view, generation, position }]);
    }

    /// Leaves the tables to the next sweep, unless the view's pointer names them.
    async fn discard(&mut self) -> Result<Discarded, StoreError> {
        self.session.rollback().await?;
        self.session.begin(&[]).await?;
        // A swap that is still being committed holds the row: its end is waited for.
        let sql = "update {pointers} set generation = generation where view_name = $1 and generation = $2 returning generation";
        let params = vec![self.view.name().into(), i64::from(self.generation).into()];
        if !self.session.query(sql, params).await?.is_empty() {
            self.session.rollback().await?;
            self.went_live();
            return Ok(Discarded::Live);
        }
        generation::retire(&mut self.session, self.view.name(), self.generation, 0).await?;
        self.session.commit().await?;
        Ok(Discarded::Retired)
    }
}
