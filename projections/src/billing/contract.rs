//! The contract with whoever reads billing events: which types there are, and which fields each has.
//!
//! The documents, their schemas and the tests are all made from this one table. Exporters live on it, so it only ever
//! grows: a field that is there stays as it is, and a field that is added is an optional one, since the events that were
//! exported before have none. `docs/contract` holds frozen copies of what is made here; a test compares.

mod asyncapi;
mod schema;

use tenure_aggregates::{access_token, administrator, subscription, tenant};

pub use asyncapi::{Topics, asyncapi};
pub use schema::{schema, schema_path};

use crate::history::Happened;

/// A type of billing event: those of RP-PAM article 38, and `tenant.restored`, so that a bill can be resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BillingType {
    /// A tenant was created.
    Provisioned,
    /// Its people were locked out.
    Suspended,
    /// Its people were let in again.
    Reinstated,
    /// It was marked for deletion.
    Deprovisioned,
    /// It stays after all, suspended.
    Restored,
    /// The retention is over and its data destroyed.
    Deleted,
    /// A calendar month ended.
    UsageMonthly,
    /// An account that was there before came to its MSP.
    Joined,
    /// It left its MSP.
    Unlinked,
    /// It is subscribed to another price.
    SubscriptionChanged,
}

/// What the values of a field look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A UUID, hyphenated and in lower case.
    Id,
    /// A place in the log: a whole number from 1.
    Position,
    /// The type's own name.
    TypeName,
    /// A tenant's short code.
    ShortCode,
    /// A time, RFC 3339 in UTC.
    Time,
    /// Business text, up to 200 characters.
    Reason,
    /// A calendar month, `YYYY-MM`.
    Month,
    /// A whole number from 0, below 2^32.
    Count,
    /// A price's id in the MSP's billing system.
    Price,
}

/// One field of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// As it is written.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it may be `null` instead.
    pub nullable: bool,
    /// Whether every document has it.
    pub required: bool,
    /// What it means, for readers of the contract.
    pub about: &'static str,
}

/// The fields that every billing event begins with, in the order in which they are written.
pub const ENVELOPE: [Field; 6] = [
    always("eventId", FieldKind::Id, "The same for ever: made from the event's place in the tenant's history."),
    always("position", FieldKind::Position, "Place in the log. Rises along the list, with gaps."),
    always("type", FieldKind::TypeName, "What happened."),
    always("tenantId", FieldKind::Id, "To which tenant."),
    always("shortCode", FieldKind::ShortCode, "Its short code."),
    always("occurredUtc", FieldKind::Time, "When; for a month's usage the month's last second."),
];

const fn always(name: &'static str, kind: FieldKind, about: &'static str) -> Field {
    Field { name, kind, nullable: false, required: true, about }
}

const fn or_null(name: &'static str, kind: FieldKind, about: &'static str) -> Field {
    Field { name, kind, nullable: true, required: true, about }
}

impl BillingType {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Provisioned,
        Self::Suspended,
        Self::Reinstated,
        Self::Deprovisioned,
        Self::Restored,
        Self::Deleted,
        Self::UsageMonthly,
        Self::Joined,
        Self::Unlinked,
        Self::SubscriptionChanged,
    ];

    /// The type of the billing event that this makes, if it makes one.
    pub(crate) const fn of(happened: &Happened) -> Option<Self> {
        match happened {
            Happened::Tenant(event) => match event {
                tenant::Event::Provisioned { .. } => Some(Self::Provisioned),
                tenant::Event::Suspended { .. } => Some(Self::Suspended),
                tenant::Event::Reinstated { .. } => Some(Self::Reinstated),
                tenant::Event::Deprovisioned { .. } => Some(Self::Deprovisioned),
                tenant::Event::Restored { .. } => Some(Self::Restored),
                tenant::Event::Deleted { .. } => Some(Self::Deleted),
                tenant::Event::UsageMonthly { .. } => Some(Self::UsageMonthly),
                // Limits and reports are billed by the month's counts.
                tenant::Event::Updated { .. }
                | tenant::Event::UsageReported { .. }
                | tenant::Event::DomainProven { .. } => None,
                tenant::Event::Joined { .. } => Some(Self::Joined),
                tenant::Event::Unlinked { .. } => Some(Self::Unlinked),
            },
            Happened::Subscription(event) => match event {
                subscription::Event::Changed { .. } => Some(Self::SubscriptionChanged),
                // Comes with the end of what it was paid for, which is on the bill.
                subscription::Event::Cancelled { .. } => None,
            },
            // So are people, and tokens not at all.
            Happened::Administrator(
                administrator::Event::Invited { .. }
                | administrator::Event::Accepted { .. }
                | administrator::Event::Removed { .. },
            )
            | Happened::Link(_)
            | Happened::AccessToken(access_token::Event::Created { .. } | access_token::Event::Revoked { .. })
            | Happened::AccessTokenUse(access_token::last_use::Event::Used { .. }) => None,
        }
    }

    /// The type with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name, that of the event in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provisioned => "tenant.provisioned",
            Self::Suspended => "tenant.suspended",
            Self::Reinstated => "tenant.reinstated",
            Self::Deprovisioned => "tenant.deprovisioned",
            Self::Restored => "tenant.restored",
            Self::Deleted => "tenant.deleted",
            Self::UsageMonthly => "tenant.usage.monthly",
            Self::Joined => "tenant.joined",
            Self::Unlinked => "tenant.unlinked",
            Self::SubscriptionChanged => "tenant.subscription.changed",
        }
    }

    /// What it says, for readers of the contract.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Provisioned => "The tenant was created.",
            Self::Suspended => "The tenant's people were locked out.",
            Self::Reinstated => "The tenant's people were let in again.",
            Self::Deprovisioned => "The tenant was marked for deletion.",
            Self::Restored => "The tenant stays after all, suspended.",
            Self::Deleted => "The retention is over and the tenant's data destroyed.",
            Self::UsageMonthly => {
                "What the tenant held when a calendar month ended; once per tenant and month, also for months that were \
                 missed."
            }
            Self::Joined => "An account that was there before came to the MSP: its first event on this bill.",
            Self::Unlinked => "The tenant left the MSP: its last event on this bill.",
            Self::SubscriptionChanged => "The tenant is subscribed to this price from then on.",
        }
    }

    /// The fields that it has besides the [`ENVELOPE`], in the order in which they are written.
    #[must_use]
    pub const fn fields(self) -> &'static [Field] {
        match self {
            // The short code, which a bill begins with, is in every document.
            Self::Provisioned | Self::Reinstated | Self::Deleted | Self::Joined | Self::Unlinked => &[],
            Self::SubscriptionChanged => const { &[always("priceId", FieldKind::Price, "The price.")] },
            Self::Suspended => const { &[or_null("reason", FieldKind::Reason, "Why, if somebody said so.")] },
            Self::Deprovisioned => {
                const { &[always("retentionEndsUtc", FieldKind::Time, "Until when the tenant can be restored.")] }
            }
            Self::Restored => const { &[always("reason", FieldKind::Reason, "Why.")] },
            Self::UsageMonthly => {
                const {
                    &[
                        always("period", FieldKind::Month, "The month."),
                        always("userCount", FieldKind::Count, "Users at the month's end."),
                        always("resourceCount", FieldKind::Count, "Resources at the month's end."),
                        always("grantCount", FieldKind::Count, "Grants at the month's end."),
                    ]
                }
            }
        }
    }

    /// Every field that some type has besides the [`ENVELOPE`], once, in the order in which they first come.
    #[must_use]
    pub fn all_fields() -> Vec<&'static Field> {
        let mut fields: Vec<&Field> = Vec::new();
        for field in Self::ALL.into_iter().flat_map(Self::fields) {
            if fields.iter().all(|known| known.name != field.name) {
                fields.push(field);
            }
        }
        fields
    }
}

/// A file of the contract as it is served and kept.
#[must_use]
pub fn text(file: &serde_json::Value) -> String {
    format!("{file:#}\n")
}
