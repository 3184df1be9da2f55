//! What the database remembers of the export: a copy of its progress, for comparison only, and what an operator ordered.

use std::str::FromStr;

use tenure_event_log::Position;

use super::progress::Progress;
use crate::QueryError;
use crate::batch::{Cell, Cells, Session, Store, StoreError};

/// The row.
const NAME: &str = "billing";

/// What an operator says to a stopped export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Everything up to this position counts as exported; go on after it.
    From(Position),
    /// Find the last exported event in the billing topic itself, and go on after it.
    Rescan,
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::From(position) => write!(f, "from {position}"),
            Self::Rescan => f.write_str("rescan"),
        }
    }
}

impl FromStr for Order {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.strip_prefix("from ") {
            Some(position) => position.parse().map(|position| Self::From(Position::new(position))).map_err(|_| ()),
            None => (text == "rescan").then_some(Self::Rescan).ok_or(()),
        }
    }
}

/// Leaves an order for whichever instance exports. A later one takes the place of one that is not carried out yet.
pub(crate) async fn leave(store: &Store, order: Order) -> Result<(), QueryError> {
    let sql = "insert into {exports} (name, ordered) values ($1, $2) on conflict (name) do update set ordered = excluded.ordered";
    store.session().await?.query(sql, vec![NAME.into(), order.to_string().into()]).await?;
    Ok(())
}

/// The copy, and the order that waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub copy: Option<Progress>,
    pub order: Option<Order>,
}

const READ: &str = "select progress, ordered from {exports} where name = $1";

/// Reads the row.
pub(crate) async fn read(session: &mut Session) -> Result<Page, StoreError> {
    page(&session.query(READ, vec![NAME.into()]).await?)
}

/// Reads the copy, also where the database is open for reading only.
pub(crate) async fn copy(store: &Store) -> Result<Option<Progress>, QueryError> {
    Ok(page(&store.query(READ, vec![NAME.into()]).await?)?.copy)
}

fn page(rows: &[Cells]) -> Result<Page, StoreError> {
    let Some(row) = rows.first() else { return Ok(Page::default()) };
    let text = |index: usize| match row.get(index) {
        Some(Cell::Text(text)) => Some(text.as_str()),
        Some(Cell::Integer(_) | Cell::Null) | None => None,
    };
    let copy = text(0).map(serde_json::from_str).transpose().map_err(StoreError::refused)?;
    Ok(Page { copy, order: text(1).and_then(|order| order.parse().ok()) })
}

/// Writes the copy.
pub(crate) async fn remember(session: &mut Session, progress: &Progress) -> Result<(), StoreError> {
    let sql = "insert into {exports} (name, progress) values ($1, $2) on conflict (name) do update set progress = excluded.progress";
    let progress = serde_json::to_string(progress).map_err(StoreError::refused)?;
    session.query(sql, vec![NAME.into(), progress.into()]).await.map(drop)
}

/// Removes the copy.
pub(crate) async fn forget(session: &mut Session) -> Result<(), StoreError> {
    session.query("update {exports} set progress = null where name = $1", vec![NAME.into()]).await.map(drop)
}

/// The order is carried out, or refused.
pub(crate) async fn settle(session: &mut Session, order: Order) -> Result<(), StoreError> {
    // Unless another one was left meanwhile.
    let sql = "update {exports} set ordered = null where name = $1 and ordered = $2";
    session.query(sql, vec![NAME.into(), order.to_string().into()]).await.map(drop)
}
