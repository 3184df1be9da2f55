//! Building a new generation of a view beside the live one, and putting it in its place.

use tenure_event_log::{EventLog, Position, ReadError};
use tokio::task::JoinHandle;

use crate::RebuildError;
use crate::apply::{self, Applied, Page};
use crate::batch::{Cell, Session, StoreError};
use crate::generation::{self, Checkpoint, checkpoint_name};
use crate::rows::Rows;
use crate::view::View;
use crate::views::Shared;

/// Events per transaction: more than live batches have, since nobody waits for them one by one.
const BATCH: usize = 2_000;

pub(crate) async fn run(shared: &Shared, view: View) -> Result<(), RebuildError> {
    if !shared.progress.begin_building(view) {
        return Err(RebuildError::InProgress);
    }
    let rebuilt = rebuild(shared, view).await;
    shared.progress.end_building(view);
    match &rebuilt {
        Ok(()) => tracing::info!(view = view.name(), "view rebuilt"),
        Err(error) => tracing::error!(view = view.name(), %error, "view not rebuilt"),
    }
    rebuilt
}

async fn rebuild(shared: &Shared, view: View) -> Result<(), RebuildError> {
    let mut session = shared.store.session().await?;
    let generation = generation::start_building(&mut session, shared.versions, view).await?;
    let mut build = Build { shared, session, view, generation, rows: None, position: Position::START, ahead: None };
    let outcome = build.catch_up_and_swap().await;
    if outcome.is_err() {
        build.discard().await?;
    }
    outcome
}

async fn read(log: EventLog, after: Position) -> Result<Page, ReadError> {
    Ok(Page::new(after, log.read(after, BATCH).await?))
}

struct Build<'a> {
    shared: &'a Shared,
    session: Session,
    view: View,
    generation: u32,
    rows: Option<Rows>,
    position: Position,
    /// The page after the one in hand, which is read and decoded while that one is applied.
    ahead: Option<JoinHandle<Result<Page, ReadError>>>,
}

impl Drop for Build<'_> {
    fn drop(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            ahead.abort();
        }
    }
}

impl Build<'_> {
    async fn catch_up_and_swap(&mut self) -> Result<(), RebuildError> {
        loop {
            if self.shared.is_stopping() {
                return Err(RebuildError::Unavailable("the views were shut down".into()));
            }
            // Before the transaction, which keeps the live views' from beginning on SQLite.
            let page = self.next_page().await?;
            self.ahead = Some(tokio::spawn(read(self.shared.log.clone(), page.end())));
            self.session.begin(&[]).await?;
            self.apply(&page).await?;
            let sql = "update {generations} set touched_at = $1 where view_name = $2 and generation = $3";
            let (now, name) = (generation::wall_clock_micros().into(), self.view.name().into());
            self.session.query(sql, vec![now, name, i64::from(self.generation).into()]).await?;
            self.session.commit().await?;
            // Close enough: under a steady stream of commands there is always a little left.
            if page.len() < BATCH / 2 {
                return self.swap().await;
            }
        }
    }

    /// The page that was read ahead, or else one read now.
    async fn next_page(&mut self) -> Result<Page, RebuildError> {
        if let Some(ahead) = self.ahead.take()
            && let Ok(page) = ahead.await
        {
            return Ok(page?);
        }
        Ok(read(self.shared.log.clone(), self.position).await?)
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
        let Self { view, generation, position, .. } = *self;
        self.shared.progress.reached(&[Checkpoint { view, generation, position }]);
        Ok(())
    }

    /// Leaves the tables to the next sweep.
    async fn discard(&mut self) -> Result<(), StoreError> {
        self.session.rollback().await?;
        self.session.begin(&[]).await?;
        generation::retire(&mut self.session, self.view.name(), self.generation, 0).await?;
        self.session.commit().await
    }
}
