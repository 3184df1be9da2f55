//! Says that this release is alive, and drops generations that nobody reads any more.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::{Cell, Session, StoreError};
use crate::generation::{self, wall_clock_micros};
use crate::views::Shared;

/// How often.
const SWEEP: Duration = Duration::from_secs(30);
/// A release that was not seen for as long has ended; a build that was not touched for as long was abandoned. (An
/// embedded database has one process: there, whatever was not touched since it was opened is over.)
const ABANDONED: Duration = Duration::from_mins(10);

pub(crate) async fn run(shared: Arc<Shared>) {
    let pause = SWEEP.min(Duration::from_millis(shared.config.drop_after_ms.max(100)));
    while !shared.is_stopping() {
        if let Err(error) = sweep(&shared).await {
            tracing::warn!(%error, "old generations of views could not be dropped");
        }
        // Whichever comes first.
        let _ = tokio::time::timeout(pause, shared.stopped()).await;
    }
}

async fn sweep(shared: &Shared) -> Result<(), StoreError> {
    let mut session = shared.store.session().await?;
    let now = wall_clock_micros();
    for (view, version) in shared.versions.all() {
        let sql = "update {pointers} set seen_at = $1 where view_name = $2 and version = $3";
        session.query(sql, vec![now.into(), view.into(), i64::from(version).into()]).await?;
    }
    let abandoned = if shared.store.is_exclusive() {
        shared.opened_at
    } else {
        now - i64::try_from(ABANDONED.as_micros()).unwrap_or(i64::MAX)
    };
    retire_old_releases(&mut session, now, abandoned).await?;
    let drop_after = i64::try_from(shared.config.drop_after_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
    let sql = "select g.view_name, g.generation, g.tables from {generations} g \
               left join {pointers} p on p.view_name = g.view_name and p.generation = g.generation \
               where p.view_name is null and (g.retired_at <= $1 or (g.retired_at is null and g.touched_at < $2))";
    for row in session.query(sql, vec![(now - drop_after).into(), abandoned.into()]).await? {
        let [Cell::Text(view), Cell::Integer(generation), Cell::Text(tables)] = &row[..] else { continue };
        drop_generation(&mut session, view, *generation, tables, abandoned).await?;
    }
    Ok(())
}

/// Pointers of versions that no instance has any more: of older releases, and of newer ones that were taken back.
async fn retire_old_releases(session: &mut Session, now: i64, abandoned: i64) -> Result<(), StoreError> {
    let sql = "select view_name, version, generation from {pointers} where seen_at < $1";
    for row in session.query(sql, vec![abandoned.into()]).await? {
        let [Cell::Text(view), Cell::Integer(version), Cell::Integer(generation)] = &row[..] else { continue };
        session.begin(&[]).await?;
        let sql = "delete from {pointers} where view_name = $1 and version = $2 and seen_at < $3 returning version";
        let params = vec![view.as_str().into(), (*version).into(), abandoned.into()];
        if !session.query(sql, params).await?.is_empty() {
            tracing::info!(view, version, "no instance has this version of the view any more");
            let generation = u32::try_from(*generation).map_err(StoreError::refused)?;
            generation::retire(session, view, generation, now).await?;
        }
        session.commit().await?;
    }
    Ok(())
}

async fn drop_generation(
    session: &mut Session,
    view: &str,
    generation: i64,
    tables: &str,
    abandoned: i64,
) -> Result<(), StoreError> {
    session.begin(&[]).await?;
    // Another instance may be about it; or it is a build that has gone on meanwhile, and may be live by now.
    let sql = "delete from {generations} where view_name = $1 and generation = $2 \
               and (retired_at is not null or touched_at < $3) returning generation";
    if !session.query(sql, vec![view.into(), generation.into(), abandoned.into()]).await?.is_empty() {
        let sql = "delete from {checkpoints} where name = $1";
        session.query(sql, vec![format!("{view}_v{generation}").into()]).await?;
        for table in tables.split(',') {
            session.query(&format!("drop table if exists {{{table}}}"), Vec::new()).await?;
        }
    }
    session.commit().await
}
