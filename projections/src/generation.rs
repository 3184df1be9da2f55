//! Generations: the sets of tables that a view has had, and which of them is live.
//!
//! A generation is one build of a view from position 0. Its tables carry its number (`tenants_v2`), and so does its
//! checkpoint. A pointer names the live one for each version of the view's shape: two releases that disagree about the
//! shape run side by side, each with a generation of its own.

use tenure_event_log::{EventLog, Position};

use crate::OpenError;
use crate::batch::{Cell, Session, Store, StoreError};
use crate::view::{Versions, View};

/// How far the live generation of a view has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub view: View,
    pub generation: u32,
    pub position: Position,
}

impl Checkpoint {
    /// From a row of [`live_checkpoints`].
    pub fn from_cells(cells: &[Cell]) -> Result<Self, StoreError> {
        let [Cell::Text(name), Cell::Integer(generation), Cell::Integer(position)] = cells else {
            return Err(malformed("a checkpoint"));
        };
        let view = View::named(name).ok_or_else(|| malformed("a checkpoint's view"))?;
        let generation = u32::try_from(*generation).map_err(StoreError::refused)?;
        let position = Position::new(u64::try_from(*position).map_err(StoreError::refused)?);
        Ok(Self { view, generation, position })
    }
}

fn malformed(what: &str) -> StoreError {
    StoreError::refused(std::io::Error::other(format!("{what} can't be read")))
}

/// The name of a generation's checkpoint.
pub(crate) fn checkpoint_name(view: View, generation: u32) -> String {
    format!("{}_v{generation}", view.name())
}

/// The live checkpoints of these views in these versions: `(view, generation, position)`. Names are the code's own.
pub(crate) fn live_checkpoints(views: &[(&'static str, u32)]) -> String {
    let wanted: Vec<String> =
        views.iter().map(|(name, version)| format!("(p.view_name = '{name}' and p.version = {version})")).collect();
    format!(
        "select p.view_name, p.generation, c.position from {{pointers}} p \
         join {{checkpoints}} c on c.name = p.view_name || '_v' || p.generation where {}",
        wanted.join(" or ")
    )
}

/// The committed checkpoints of the live generations, as any instance left them.
pub(crate) async fn committed(store: &Store, versions: Versions) -> Result<Vec<Checkpoint>, StoreError> {
    let rows = store.query(&live_checkpoints(&versions.all()), Vec::new()).await?;
    rows.iter().map(|row| Checkpoint::from_cells(row)).collect()
}

/// The system's time, not the log's: these times say whether processes are alive, whatever day the deployment plays.
pub(crate) fn wall_clock_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// Says that a generation is being built. False if it is there no more, or was given up.
pub(crate) async fn touch(session: &mut Session, view: View, generation: u32) -> Result<bool, StoreError> {
    let sql = "update {generations} set touched_at = $1 where view_name = $2 and generation = $3 \
               and retired_at is null returning generation";
    let params = vec![wall_clock_micros().into(), view.name().into(), i64::from(generation).into()];
    Ok(!session.query(sql, params).await?.is_empty())
}

/// Makes a generation's tables, without indexes, and checkpoint, at position 0 and not yet live. Inside a transaction.
async fn create(session: &mut Session, versions: Versions, view: View) -> Result<u32, StoreError> {
    // Until the next commit, nobody else makes a generation of this view: the insert below would meet this row.
    let sql = "select coalesce(max(generation), 0) + 1 from {generations} where view_name = $1";
    let generation = integer(&session.query(sql, vec![view.name().into()]).await?)?;
    let generation = u32::try_from(generation).map_err(StoreError::refused)?;
    let tables: Vec<String> = view.tables().iter().map(|table| table.in_generation(generation)).collect();
    let sql =
        "insert into {generations} (view_name, generation, version, tables, touched_at) values ($1, $2, $3, $4, $5)";
    let (name, version) = (view.name().into(), i64::from(versions.of(view)).into());
    let params = vec![name, i64::from(generation).into(), version, tables.join(",").into(), wall_clock_micros().into()];
    session.query(sql, params).await?;
    let sql = "insert into {checkpoints} (name, position) values ($1, 0)";
    session.query(sql, vec![checkpoint_name(view, generation).into()]).await?;
    session.create_tables(view.tables(), generation).await?;
    session.make_durable().await?;
    Ok(generation)
}

/// Makes a generation beside the live one, to be built up, indexed where it is not yet, and swapped in.
pub(crate) async fn start_building(session: &mut Session, versions: Versions, view: View) -> Result<u32, StoreError> {
    session.begin(&[]).await?;
    let generation = create(session, versions, view).await?;
    if !session.indexes_beside_writers() {
        session.create_indexes(view.tables(), generation).await?;
    }
    session.commit().await?;
    Ok(generation)
}

/// Makes sure that every view of this release has a live generation, and that none claims more than the log holds (as
/// happens when the log was restored from a backup and the views were not): such a one is replaced by an empty one.
pub(crate) async fn ensure_live(session: &mut Session, versions: Versions, log: &EventLog) -> Result<(), OpenError> {
    for view in View::ALL {
        // Another instance that starts at the same moment may win; then look again.
        let mut attempts = 0;
        while let Err(error) = ensure_one(session, versions, view, log).await {
            session.rollback().await?;
            attempts += 1;
            if attempts == 5 {
                return Err(error);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

async fn ensure_one(session: &mut Session, versions: Versions, view: View, log: &EventLog) -> Result<(), OpenError> {
    session.begin(&[]).await?;
    let found = session.query(&live_checkpoints(&[(view.name(), versions.of(view))]), Vec::new()).await?;
    let found = found.first().map(|row| Checkpoint::from_cells(row)).transpose()?;
    // Read after the checkpoint, which another instance may be moving.
    let head = log.head().await?;
    match found {
        Some(checkpoint) if checkpoint.position <= head => session.rollback().await?,
        Some(ahead) => {
            tracing::warn!(view = view.name(), position = %ahead.position, %head, "view is ahead of the log: starting anew");
            let generation = create(session, versions, view).await?;
            session.create_indexes(view.tables(), generation).await?;
            point_to(session, versions, view, ahead.generation, generation).await?;
            session.commit().await?;
        }
        None => {
            // A pointer without a checkpoint points at nothing that anybody applies to.
            let sql = "delete from {pointers} where view_name = $1 and version = $2 and not exists (select 1 \
                       from {checkpoints} c where c.name = view_name || '_v' || generation)";
            session.query(sql, vec![view.name().into(), i64::from(versions.of(view)).into()]).await?;
            let generation = create(session, versions, view).await?;
            session.create_indexes(view.tables(), generation).await?;
            let sql = "insert into {pointers} (view_name, version, generation, seen_at) values ($1, $2, $3, $4)";
            let (name, version) = (view.name().into(), i64::from(versions.of(view)).into());
            let params = vec![name, version, i64::from(generation).into(), wall_clock_micros().into()];
            session.query(sql, params).await?;
            session.commit().await?;
        }
    }
    Ok(())
}

/// Points at `new` instead of `old`, which is dropped a little later. Inside a transaction.
pub(crate) async fn point_to(
    session: &mut Session,
    versions: Versions,
    view: View,
    old: u32,
    new: u32,
) -> Result<(), StoreError> {
    let now = wall_clock_micros();
    let sql = "update {pointers} set generation = $1 where view_name = $2 and version = $3";
    let version = i64::from(versions.of(view)).into();
    session.query(sql, vec![i64::from(new).into(), view.name().into(), version]).await?;
    session.make_durable().await?;
    retire(session, view.name(), old, now).await
}

/// Inside a transaction: nobody applies to the generation any more, and its tables go after a while.
pub(crate) async fn retire(session: &mut Session, view: &str, generation: u32, now: i64) -> Result<(), StoreError> {
    let sql = "update {generations} set retired_at = $1 where view_name = $2 and generation = $3";
    session.query(sql, vec![now.into(), view.into(), i64::from(generation).into()]).await?;
    let sql = "delete from {checkpoints} where name = $1";
    session.query(sql, vec![format!("{view}_v{generation}").into()]).await?;
    Ok(())
}

fn integer(rows: &[Vec<Cell>]) -> Result<i64, StoreError> {
    match rows {
        [row] => match row[..] {
            [Cell::Integer(value)] => Ok(value),
            _ => Err(malformed("a number")),
        },
        _ => Err(malformed("a number")),
    }
}
