//! Billing events: what an MSP pays for, one row per event of a customer that a bill is made from (RP-PAM article 38).
//!
//! MSPs themselves are nobody's customers and have none.

mod bounds;
pub mod comparison;
pub mod contract;
pub mod document;
mod page;
mod range;
mod reconciliation;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tenure_aggregates::{AggregateKind, TenantId, TenantKind, subscription, tenant};
use tenure_event_log::{Position, StreamId};
use uuid::Uuid;

pub use contract::{BillingType, ENVELOPE, Field, FieldKind, schema_path};
pub use document::DocumentError;
pub use page::{BillingFilter, BillingPages, BillingScope, page};
pub use range::BillingRange;
pub use reconciliation::{MonthTotal, Reconciliation, fingerprint, msps};

use crate::batch::{Cells, Table, Write, integer, nullable_text, text};
use crate::cells::{CellsReader, micros};
use crate::history::{Happened, Obstacle};
use crate::rows::{Row, Rows};
use crate::tenants::unknown_tenant;
use crate::view::{Fact, Ignored};

pub(crate) const EVENTS: Table = Table {
    name: "billing_events",
    columns: &[
        integer("position"),
        text("event_id"),
        text("event_type"),
        text("tenant_id"),
        text("msp_id"),
        text("short_code"),
        integer("occurred_at"),
        integer("recorded_at"),
        text("data"),
    ],
    key: 1,
    indexes: &["msp_id, position", "tenant_id, position", "msp_id, occurred_at, position"],
    write: Write::Blind,
};

/// Whose customer a tenant is: later events don't say.
const TENANTS: Table = Table {
    name: "billing_tenants",
    columns: &[text("tenant_id"), nullable_text("msp_id"), text("short_code")],
    key: 1,
    indexes: &[],
    write: Write::Replace,
};

/// Who is on an MSP's bill, or once was: a customer may leave for another.
const ACCOUNTS: Table = Table {
    name: "billing_accounts",
    columns: &[text("msp_id"), text("tenant_id"), text("short_code")],
    key: 2,
    indexes: &[],
    write: Write::Blind,
};

pub(crate) const TABLES: &[Table] = &[EVENTS, TENANTS, ACCOUNTS];

/// Events that change nothing here.
pub(crate) const IGNORED: Ignored = Ignored {
    aggregates: &[
        AggregateKind::Administrator,
        AggregateKind::Link,
        AggregateKind::AccessToken,
        AggregateKind::LastUse,
    ],
    events: &["tenant.updated", "tenant.usage.reported", "tenant.domain.proven", "tenant.subscription.cancelled"],
};

/// The namespace of billing events' ids. Never to be changed: exporters and bills refer to what is derived from it.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_2a54_9d0b_4c1e_8f0e_7d52_51e7_b1a6);

/// One line of a bill's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingEvent {
    /// Its place in the log, and in this list.
    pub position: Position,
    /// Made from the stream and the sequence: the same after every rebuild.
    pub event_id: Uuid,
    /// The business's name, for example `tenant.suspended`: that of a [`BillingType`].
    pub event_type: String,
    /// The customer.
    pub tenant_id: TenantId,
    /// Its MSP.
    pub msp_id: TenantId,
    /// The customer's short code.
    pub short_code: String,
    /// When it happened; for a month's usage the month's last second.
    pub occurred_at: DateTime<Utc>,
    /// When the log took it.
    pub recorded_at: DateTime<Utc>,
    /// A JSON object with at least the [`BillingType::fields`] of its type.
    pub data: String,
}

impl Row for BillingEvent {
    const TABLE: &'static Table = &EVENTS;

    fn into_cells(self) -> Cells {
        vec![
            i64::try_from(self.position.get()).unwrap_or(i64::MAX).into(),
            self.event_id.to_string().into(),
            self.event_type.into(),
            self.tenant_id.to_string().into(),
            self.msp_id.to_string().into(),
            self.short_code.into(),
            micros(self.occurred_at).into(),
            micros(self.recorded_at).into(),
            self.data.into(),
        ]
    }

    fn from_cells(cells: Cells) -> Option<Self> {
        let mut cells = CellsReader::new(cells);
        Some(Self {
            position: Position::new(cells.number()?),
            event_id: cells.parsed()?,
            event_type: cells.text()?,
            tenant_id: cells.parsed()?,
            msp_id: cells.parsed()?,
            short_code: cells.text()?,
            occurred_at: cells.time()?,
            recorded_at: cells.time()?,
            data: cells.text()?,
        })
    }
}

struct Customer {
    tenant_id: TenantId,
    /// `None` for an MSP, and for who left theirs.
    msp: Option<TenantId>,
    short_code: String,
}

impl Row for Customer {
    const TABLE: &'static Table = &TENANTS;

    fn into_cells(self) -> Cells {
        let msp = self.msp.map(|msp| msp.to_string());
        vec![self.tenant_id.to_string().into(), msp.into(), self.short_code.into()]
    }

    fn from_cells(cells: Cells) -> Option<Self> {
        let mut cells = CellsReader::new(cells);
        let tenant_id = cells.parsed()?;
        let msp = match cells.optional_text().ok()? {
            Some(msp) => Some(msp.parse().ok()?),
            None => None,
        };
        Some(Self { tenant_id, msp, short_code: cells.text()? })
    }
}

/// A line in [`ACCOUNTS`].
struct BilledAccount {
    msp_id: TenantId,
    tenant_id: TenantId,
    short_code: String,
}

impl Row for BilledAccount {
    const TABLE: &'static Table = &ACCOUNTS;

    fn into_cells(self) -> Cells {
        vec![self.msp_id.to_string().into(), self.tenant_id.to_string().into(), self.short_code.into()]
    }

    fn from_cells(cells: Cells) -> Option<Self> {
        let mut cells = CellsReader::new(cells);
        Some(Self { msp_id: cells.parsed()?, tenant_id: cells.parsed()?, short_code: cells.text()? })
    }
}

pub(crate) fn reads(fact: &Fact<'_>) -> Option<(&'static Table, Cells)> {
    match fact.happened {
        Happened::Tenant(
            tenant::Event::Suspended { .. }
            | tenant::Event::Reinstated { .. }
            | tenant::Event::Deprovisioned { .. }
            | tenant::Event::Restored { .. }
            | tenant::Event::Deleted { .. }
            | tenant::Event::UsageMonthly { .. }
            | tenant::Event::Joined { .. }
            | tenant::Event::Unlinked { .. },
        )
        | Happened::Subscription(subscription::Event::Changed { .. }) => {
            Some((&TENANTS, vec![fact.tenant().to_string().into()]))
        }
        Happened::Tenant(
            tenant::Event::Provisioned { .. }
            | tenant::Event::Updated { .. }
            | tenant::Event::UsageReported { .. }
            | tenant::Event::DomainProven { .. },
        )
        | Happened::Link(_)
        | Happened::Subscription(subscription::Event::Cancelled { .. })
        | Happened::Administrator(_)
        | Happened::AccessToken(_)
        | Happened::AccessTokenUse(_) => None,
    }
}

pub(crate) fn apply(fact: &Fact<'_>, rows: &mut Rows) -> Result<(), Obstacle> {
    let event = match fact.happened {
        Happened::Tenant(event) => event,
        Happened::Subscription(event) => return subscribed(fact, event, rows),
        // People are billed by the month's counts, links and tokens not at all.
        Happened::Administrator(_) | Happened::Link(_) | Happened::AccessToken(_) | Happened::AccessTokenUse(_) => {
            return Ok(());
        }
    };
    let data = match event {
        tenant::Event::Provisioned { account, at: _ } => {
            let short_code = account.short_code.to_string();
            let msp = match account.kind {
                TenantKind::Msp | TenantKind::Independent => None,
                TenantKind::Customer { msp } => Some(msp),
            };
            if let Some(msp_id) = msp {
                let short_code = short_code.clone();
                rows.insert(BilledAccount { msp_id, tenant_id: fact.tenant(), short_code });
            }
            rows.insert(Customer { tenant_id: fact.tenant(), msp, short_code });
            json!({ "shortCode": account.short_code })
        }
        tenant::Event::Suspended { reason, at: _ } => json!({ "reason": reason }),
        tenant::Event::Deprovisioned { reason: _, retention_ends_at, delete_after: _, at: _ } => {
            json!({ "retentionEndsUtc": retention_ends_at })
        }
        tenant::Event::Restored { reason, at: _ } => json!({ "reason": reason }),
        tenant::Event::Reinstated { at: _ } | tenant::Event::Deleted { released_short_code: _, at: _ } => json!({}),
        tenant::Event::UsageMonthly { usage, at: _ } => json!({
            "period": usage.period,
            "userCount": usage.user_count,
            "resourceCount": usage.resource_count,
            "grantCount": usage.grant_count,
        }),
        tenant::Event::Joined { msp, former_owner: _, contact_email: _, at: _ } => {
            let customer = customer(fact, rows)?;
            let short_code = customer.short_code.clone();
            rows.put(BilledAccount { msp_id: *msp, tenant_id: fact.tenant(), short_code: short_code.clone() });
            rows.put(Customer { msp: Some(*msp), ..customer });
            json!({ "shortCode": short_code })
        }
        tenant::Event::Unlinked { .. } => {
            // On the bill of the MSP that it leaves.
            bill(fact, event.occurred_at(), &json!({}), rows)?;
            let customer = customer(fact, rows)?;
            rows.put(Customer { msp: None, ..customer });
            return Ok(());
        }
        // Limits and reports are billed by the month's counts.
        tenant::Event::Updated { .. } | tenant::Event::UsageReported { .. } | tenant::Event::DomainProven { .. } => {
            return Ok(());
        }
    };
    bill(fact, event.occurred_at(), &data, rows)
}

fn subscribed(fact: &Fact<'_>, event: &subscription::Event, rows: &mut Rows) -> Result<(), Obstacle> {
    match event {
        subscription::Event::Changed { price, at } => bill(fact, *at, &json!({ "priceId": price }), rows),
        // Comes with the end of what it was paid for, which is on the bill.
        subscription::Event::Cancelled { .. } => Ok(()),
    }
}

/// The id of a stream's event as bills know it.
pub(crate) fn event_id(stream: &StreamId, sequence: u64) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{stream}/{sequence}").as_bytes())
}

fn customer(fact: &Fact<'_>, rows: &Rows) -> Result<Customer, Obstacle> {
    let tenant_id = fact.tenant();
    rows.get::<Customer>(&[tenant_id.to_string().into()])?.ok_or_else(|| unknown_tenant(tenant_id))
}

/// Puts the event on the bill of the tenant's MSP, if it is one of those that bills are made from and there is an MSP.
fn bill(fact: &Fact<'_>, occurred_at: DateTime<Utc>, data: &Value, rows: &mut Rows) -> Result<(), Obstacle> {
    let Some(kind) = BillingType::of(fact.happened) else { return Ok(()) };
    let Customer { tenant_id, msp, short_code } = customer(fact, rows)?;
    let Some(msp_id) = msp else { return Ok(()) };
    let recorded = fact.recorded;
    rows.insert(BillingEvent {
        position: recorded.position,
        event_id: event_id(&recorded.stream, recorded.sequence),
        event_type: kind.name().to_owned(),
        tenant_id,
        msp_id,
        short_code,
        occurred_at,
        recorded_at: recorded.recorded_at,
        data: data.to_string(),
    });
    Ok(())
}
