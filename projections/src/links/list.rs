//! What an MSP asks of its links, and the gate of everybody's.

use chrono::{DateTime, Utc};
use tenure_aggregates::link::{GroupGrants, Stage};
use tenure_aggregates::{LinkId, TenantId};
use tenure_event_log::Position;

use super::{LINKS, LinkRecord, stage_named};
use crate::batch::Cell;
use crate::cells::{CellsReader, micros};
use crate::rows::Row;
use crate::view::View;
use crate::{QueryError, Views};

/// Rows per statement of [`grants`]: none of them holds a snapshot open for long.
const PAGE: i64 = 10_000;

/// The last link of a page, in the list's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkCursor {
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Which it is.
    pub link_id: LinkId,
}

impl LinkRecord {
    /// The place in a list behind this link.
    #[must_use]
    pub const fn cursor(&self) -> LinkCursor {
        LinkCursor { created_at: self.created_at, link_id: self.link_id }
    }
}

/// Up to `limit` links of an MSP after a place in the list, the oldest first. Fewer than `limit`: there are no more.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn list(
    views: &Views,
    msp: TenantId,
    after: Option<LinkCursor>,
    limit: u32,
) -> Result<Vec<LinkRecord>, QueryError> {
    let mut params: Vec<Cell> = vec![msp.to_string().into(), i64::from(limit).into()];
    let behind = match after {
        None => "",
        Some(cursor) => {
            params.push(micros(cursor.created_at).into());
            params.push(cursor.link_id.to_string().into());
            " and (created_at, link_id) > ($3, $4)"
        }
    };
    let sql = format!(
        "select {} from {{links}} where msp_id = $1{behind} order by created_at, link_id limit $2",
        LINKS.column_list()
    );
    let rows = views.query(View::Links, &sql, params).await?;
    rows.into_iter().map(LinkRecord::from_cells).collect::<Option<_>>().ok_or(QueryError::Malformed)
}

/// Whom a link lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The link.
    pub link_id: LinkId,
    /// Whose people.
    pub msp: TenantId,
    /// Into which account.
    pub tenant_id: TenantId,
    /// How the link stands.
    pub stage: Stage,
    /// Which groups of them.
    pub groups: GroupGrants,
}

/// Everybody's links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Everything up to here is in them. A later change may be in them too: following the feed from here sets it again.
    pub position: Position,
    /// One for each link that holds.
    pub links: Vec<Grant>,
}

/// Reads whom all links let in, page by page: what the gate starts from.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn grants(views: &Views) -> Result<Grants, QueryError> {
    // The position first, as for the tenants' stages.
    let position = views.committed_position(View::Links).await?;
    let sql = "select link_id, msp_id, tenant_id, stage, group_roles from {links} where link_id > $1 order by link_id limit $2";
    let (mut links, mut after) = (Vec::new(), String::new());
    loop {
        let page = views.query(View::Links, sql, vec![after.as_str().into(), PAGE.into()]).await?;
        if page.is_empty() {
            return Ok(Grants { position, links });
        }
        for row in page {
            let mut cells = CellsReader::new(row);
            let mut read = || {
                Some(Grant {
                    link_id: cells.parsed()?,
                    msp: cells.parsed()?,
                    tenant_id: cells.parsed()?,
                    stage: stage_named(&cells.text()?)?,
                    groups: cells.json()?,
                })
            };
            let grant = read().ok_or(QueryError::Malformed)?;
            after = grant.link_id.to_string();
            links.push(grant);
        }
    }
}
