//! A row of the tenant directory.

use chrono::{DateTime, Utc};
use tenure_aggregates::tenant::Stage;
use tenure_aggregates::{AdministratorId, TenantId, TenantKind};

use crate::batch::{Cell, Cells, Table, Write, integer, nullable_integer, nullable_text, text};
use crate::cells::{CellsReader, micros};
use crate::rows::Row;

pub(super) const TENANTS: Table = Table {
    name: "tenants",
    columns: &[
        text("tenant_id"),
        text("kind"),
        nullable_text("msp_id"),
        text("short_code"),
        text("display_name"),
        text("status"),
        integer("created_at"),
        integer("max_users"),
        integer("max_resources"),
        integer("current_users"),
        integer("current_resources"),
        text("modules"),
        nullable_integer("suspended_at"),
        nullable_text("suspend_reason"),
        nullable_integer("retention_ends_at"),
        nullable_integer("deleted_at"),
        integer("last_activity_at"),
        integer("sequence"),
        nullable_text("owner"),
        nullable_text("former_owner"),
        text("administrators"),
    ],
    key: 1,
    indexes: &["msp_id, created_at desc, tenant_id desc", "msp_id, status, created_at desc, tenant_id desc"],
    write: Write::Replace,
};

/// What the directory knows of a tenant. Nothing in it is personal: the contact's address stays in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRecord {
    /// The tenant.
    pub tenant_id: TenantId,
    /// A customer (and whose), an MSP itself, or neither.
    pub kind: TenantKind,
    /// Unique in the cell.
    pub short_code: String,
    /// The organisation's name.
    pub display_name: String,
    /// Where it is in its life.
    pub status: Stage,
    /// When it was provisioned.
    pub created_at: DateTime<Utc>,
    /// Most users.
    pub max_users: u32,
    /// Most resources.
    pub max_resources: u32,
    /// Accepted administrators; 0 once deleted.
    pub current_users: u32,
    /// Resources last reported; 0 once deleted.
    pub current_resources: u32,
    /// Names of the enabled modules, in order; none once deleted.
    pub modules: Vec<String>,
    /// Since when it is suspended, while it is.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Why, while it is.
    pub suspend_reason: Option<String>,
    /// Until when it can be restored, while it is deprovisioning.
    pub retention_ends_at: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// When the last event in the tenant happened, its people's included.
    pub last_activity_at: DateTime<Utc>,
    /// The last sequence of the tenant's own stream: its version.
    pub sequence: u64,
    /// Whose it is since its MSP let it go, by a pseudonym.
    pub owner: Option<String>,
    /// Who agreed that its MSP manages it, by a pseudonym, if somebody had to.
    pub former_owner: Option<String>,
}

/// A record, and what the projector has to remember to keep it.
pub(super) struct DirectoryRow {
    pub record: TenantRecord,
    /// Who accepted: a removal doesn't say whether the removed had.
    pub administrators: Vec<AdministratorId>,
}

impl Row for DirectoryRow {
    const TABLE: &'static Table = &TENANTS;

    fn into_cells(self) -> Cells {
        let Self { record, administrators } = self;
        let (kind, msp) = kind_cells(record.kind);
        vec![
            record.tenant_id.to_string().into(),
            kind,
            msp,
            record.short_code.into(),
            record.display_name.into(),
            record.status.as_str().into(),
            micros(record.created_at).into(),
            i64::from(record.max_users).into(),
            i64::from(record.max_resources).into(),
            i64::from(record.current_users).into(),
            i64::from(record.current_resources).into(),
            serde_json::json!(record.modules).to_string().into(),
            record.suspended_at.map(micros).into(),
            record.suspend_reason.into(),
            record.retention_ends_at.map(micros).into(),
            record.deleted_at.map(micros).into(),
            micros(record.last_activity_at).into(),
            i64::try_from(record.sequence).unwrap_or(i64::MAX).into(),
            record.owner.into(),
            record.former_owner.into(),
            serde_json::json!(administrators).to_string().into(),
        ]
    }

    fn from_cells(cells: Cells) -> Option<Self> {
        let mut cells = CellsReader::new(cells);
        let record = TenantRecord {
            tenant_id: cells.parsed()?,
            kind: read_kind(&mut cells)?,
            short_code: cells.text()?,
            display_name: cells.text()?,
            status: stage_named(&cells.text()?)?,
            created_at: cells.time()?,
            max_users: cells.number()?,
            max_resources: cells.number()?,
            current_users: cells.number()?,
            current_resources: cells.number()?,
            modules: cells.json()?,
            suspended_at: cells.optional_time().ok()?,
            suspend_reason: cells.optional_text().ok()?,
            retention_ends_at: cells.optional_time().ok()?,
            deleted_at: cells.optional_time().ok()?,
            last_activity_at: cells.time()?,
            sequence: cells.number()?,
            owner: cells.optional_text().ok()?,
            former_owner: cells.optional_text().ok()?,
        };
        Some(Self { record, administrators: cells.json()? })
    }
}

fn kind_cells(kind: TenantKind) -> (Cell, Cell) {
    match kind {
        TenantKind::Msp => ("msp".into(), Cell::Null),
        TenantKind::Customer { msp } => ("customer".into(), msp.to_string().into()),
        TenantKind::Independent => ("independent".into(), Cell::Null),
    }
}

/// Reads `kind` and `msp_id`.
pub(super) fn read_kind(cells: &mut CellsReader) -> Option<TenantKind> {
    let kind = cells.text()?;
    let msp = cells.optional_text().ok()?;
    match (kind.as_str(), msp) {
        ("msp", None) => Some(TenantKind::Msp),
        ("independent", None) => Some(TenantKind::Independent),
        ("customer", Some(msp)) => Some(TenantKind::Customer { msp: msp.parse().ok()? }),
        _ => None,
    }
}

/// The stage with this name.
pub(super) fn stage_named(name: &str) -> Option<Stage> {
    [Stage::Unprovisioned, Stage::Active, Stage::Suspended, Stage::Deprovisioning, Stage::Deleted]
        .into_iter()
        .find(|stage| stage.as_str() == name)
}
