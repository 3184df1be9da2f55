//! Every tenant's stage at once: what the gate starts from before it follows the feed.

use tenure_aggregates::tenant::Stage;
use tenure_aggregates::{TenantId, TenantKind};
use tenure_event_log::Position;

use super::record::{read_kind, stage_named};
use crate::cells::CellsReader;
use crate::view::View;
use crate::{QueryError, Views};

/// Rows per statement: none of them holds a snapshot open for long.
const PAGE: i64 = 10_000;

/// A tenant's place in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantStage {
    /// The tenant.
    pub tenant_id: TenantId,
    /// A customer (and whose), an MSP itself, or neither.
    pub kind: TenantKind,
    /// Where it is in its life.
    pub status: Stage,
    /// Whose it is since its MSP let it go, by a pseudonym.
    pub owner: Option<String>,
    /// Who agreed that its MSP manages it, by a pseudonym, if somebody had to.
    pub former_owner: Option<String>,
}

/// All tenants' stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantStages {
    /// Everything up to here is in them. A later change may be in them too: following the feed from here sets it again.
    pub position: Position,
    /// One for each tenant, MSPs and deleted ones included.
    pub tenants: Vec<TenantStage>,
}

/// Reads the stages of all tenants, page by page.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn stages(views: &Views) -> Result<TenantStages, QueryError> {
    // The position first: what commits while the pages are read is then in them, or follows from the feed, or both.
    let position = views.committed_position(View::Tenants).await?;
    let sql = "select tenant_id, kind, msp_id, status, owner, former_owner from {tenants} where tenant_id > $1 \
               order by tenant_id limit $2";
    let (mut tenants, mut after) = (Vec::new(), String::new());
    loop {
        let page = views.query(View::Tenants, sql, vec![after.as_str().into(), PAGE.into()]).await?;
        if page.is_empty() {
            return Ok(TenantStages { position, tenants });
        }
        for row in page {
            let mut cells = CellsReader::new(row);
            let mut read = || {
                let tenant_id: TenantId = cells.parsed()?;
                let kind = read_kind(&mut cells)?;
                let status = stage_named(&cells.text()?)?;
                let (owner, former_owner) = (cells.optional_text().ok()?, cells.optional_text().ok()?);
                Some(TenantStage { tenant_id, kind, status, owner, former_owner })
            };
            let stage = read().ok_or(QueryError::Malformed)?;
            after = stage.tenant_id.to_string();
            tenants.push(stage);
        }
    }
}
