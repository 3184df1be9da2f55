//! Building a new generation of a view beside the live one, and putting it in its place.

use tenure_event_log::Position;

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
    let mut build = Build { shared, session, view, generation, rows: None, position: Position::START };
    let outcome = build.catch_up_and_swap().await;
    if outcome.is_err() {
        build.discard().await?;
    }
    outcome
}

struct Build<'a> {
    shared: &'a Shared,
    session: Session,
    view: View,
    generation: u32,
    rows: Option<Rows>,
    position: Position,
}

impl Build<'_> {
    async fn catch_up_and_swap(&mut self) -> Result<(), RebuildError> {
        loop {
            if self.shared.is_stopping() {
                return Err(RebuildError::Unavailable("the views were shut down".into()));
            }
            self.session.begin(&[]).await?;
            let applied = self.apply_page().await?;
            let sql = "update {generations} set touched_at = $1 where view_name = $2 and generation = $3";
            let (now, name) = (generation::wall_clock_micros().into(), self.view.name().into());
            self.session.query(sql, vec![now, name, i64::from(self.generation).into()]).await?;
            self.session.commit().await?;
            // Close enough: under a steady stream of commands there is always a little left.
            if applied < BATCH / 2 {
                return self.swap().await;
            }
        }
    }

    /// Applies the next page, in the transaction; answers how many events it held.
    async fn apply_page(&mut self) -> Result<usize, RebuildError> {
        let page = Page::new(self.position, self.shared.log.read(self.position, BATCH).await?);
        if page.is_empty() {
            return Ok(0);
        }
        let rows = match self.rows.take() {
            Some(rows) => rows,
            None => Rows::new(self.view.tables(), self.generation, self.position),
        };
        let Applied { mut rows, position, problem } =
            apply::apply(&mut self.session, self.view, rows, &page, BATCH).await?;
        if let Some(problem) = problem {
            return Err(RebuildError::Stopped(problem));
        }
        let moves = vec![(checkpoint_name(self.view, self.generation), position.get())];
        self.session.write(rows.changes(), moves).await?;
        rows.committed(position);
        self.rows = Some(rows);
        self.position = position;
        self.shared.progress.building(self.view, self.generation, position);
        Ok(page.len())
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
            if self.apply_page().await? == 0 {
                return Err(RebuildError::Unavailable("the live view is ahead of the log".into()));
            }
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
