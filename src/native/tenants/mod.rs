//! Tenants as the native dialect shows them. One file per operation; the shapes that they share stand here.

pub mod deprovision;
pub mod detail;
pub(in crate::native) mod fields;
pub mod list;
pub mod provision;
pub mod reinstate;
pub mod restore;
pub mod suspend;
pub mod update;
pub mod usage;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, LOCATION};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use tenure_aggregates::tenant::{Health, Stage, Tenant};
use tenure_aggregates::values::Reason;
use tenure_aggregates::{Personal, TenantId};
use tenure_projections::tenants;
use utoipa::ToSchema;
use uuid::Uuid;

use super::errors;
use super::problem::{FieldError, Problem};
use crate::app::App;
use crate::dispatch::{Outcome, Wait};
use crate::http::conditional::{POSITION, etag};

/// Where a tenant stands in its life.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use.
    Active,
    /// Its people are refused; its data is kept.
    Suspended,
    /// Marked for deletion; can be restored until `retentionEndsUtc`.
    Deprovisioning,
    /// Its data is gone.
    Deleted,
}

/// Whether the tenant's modules are connected.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Connected.
    Healthy,
    /// Not connected, because the tenant is not active.
    Disconnected,
    /// Being connected again, for up to 60 seconds after reinstatement.
    Reconnecting,
}

/// Everything that an MSP sees of one tenant: metadata and counts, never its people's data.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantDetail {
    /// Id of the tenant.
    pub tenant_id: Uuid,
    /// Unique short code, lower case.
    #[schema(example = "acme-corp")]
    pub short_code: String,
    /// The organisation's name.
    #[schema(example = "Acme Corporation")]
    pub display_name: String,
    /// Whom to write to; `erased` once the tenant is deleted.
    #[schema(example = "it@acmecorp.com")]
    pub contact_email: String,
    /// Where it stands in its life.
    pub status: Status,
    /// When it was provisioned.
    #[serde(serialize_with = "utc")]
    pub created_utc: DateTime<Utc>,
    /// Most users.
    pub max_users: u32,
    /// Most resources.
    pub max_resources: u32,
    /// Accepted administrators and unit users.
    pub current_users: u32,
    /// Resources in the last usage report.
    pub current_resources: u32,
    /// Enabled modules, by name.
    #[schema(example = json!(["ad", "ssh"]))]
    pub enabled_modules: Vec<String>,
    /// Name of the tenant's logical data space.
    #[schema(example = "rppam_tenant_acme_corp")]
    pub database_name: String,
    /// Time of the last event in the tenant.
    #[serde(serialize_with = "utc")]
    pub last_activity_utc: DateTime<Utc>,
    /// While suspended: since when.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "utc_option")]
    pub suspended_utc: Option<DateTime<Utc>>,
    /// While suspended: why, if somebody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend_reason: Option<String>,
    /// While deprovisioning: until when it can be restored.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "utc_option")]
    pub retention_ends_utc: Option<DateTime<Utc>>,
    /// Whether its modules are connected.
    pub health: HealthStatus,
}

/// Writes a time as the seed shows it: `2026-04-07T14:30:00Z`, with as much of a fraction as there is.
pub(in crate::native) fn utc<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[expect(clippy::ref_option, reason = "serde's signature")]
pub(in crate::native) fn utc_option<S: Serializer>(
    time: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => utc(time, serializer),
        None => serializer.serialize_none(),
    }
}

impl Status {
    /// `None` for a tenant that does not exist.
    const fn of(stage: Stage) -> Option<Self> {
        match stage {
            Stage::Unprovisioned => None,
            Stage::Active => Some(Self::Active),
            Stage::Suspended => Some(Self::Suspended),
            Stage::Deprovisioning => Some(Self::Deprovisioning),
            Stage::Deleted => Some(Self::Deleted),
        }
    }
}

impl From<Health> for HealthStatus {
    fn from(health: Health) -> Self {
        match health {
            Health::Healthy => Self::Healthy,
            Health::Reconnecting => Self::Reconnecting,
            Health::Disconnected => Self::Disconnected,
        }
    }
}

/// What only the views know of a tenant.
struct Seen {
    current_users: u32,
    last_activity: DateTime<Utc>,
}

impl TenantDetail {
    /// The tenant at `now`, or `None` if it does not exist.
    fn of(id: TenantId, tenant: &Tenant, seen: &Seen, now: DateTime<Utc>) -> Option<Self> {
        let account = tenant.account()?;
        let (suspended_utc, suspend_reason, retention_ends_utc) = match tenant {
            Tenant::Suspended { since, reason, .. } => (Some(*since), reason.as_ref(), None),
            Tenant::Deprovisioning { retention_ends_at, .. } => (None, None, Some(*retention_ends_at)),
            Tenant::Unprovisioned | Tenant::Active { .. } | Tenant::Deleted { .. } => (None, None, None),
        };
        let contact_email = match &account.contact_email {
            Personal::Known(email) => email.as_str(),
            Personal::Sealed | Personal::Erased => "erased",
        };
        Some(Self {
            tenant_id: id.as_uuid(),
            short_code: account.short_code.to_string(),
            display_name: account.display_name.to_string(),
            contact_email: contact_email.to_owned(),
            status: Status::of(tenant.stage())?,
            created_utc: account.created_at,
            max_users: account.max_users.get(),
            max_resources: account.max_resources.get(),
            current_users: seen.current_users,
            current_resources: account.usage.resources,
            enabled_modules: account.modules.iter().map(ToString::to_string).collect(),
            database_name: account.database_name(),
            last_activity_utc: seen.last_activity,
            suspended_utc,
            suspend_reason: suspend_reason.map(ToString::to_string),
            retention_ends_utc,
            health: tenant.health(now).into(),
        })
    }
}

/// The answer to a command: the tenant as the command left it.
async fn answer(app: &App, mut outcome: Outcome, status: StatusCode, wait: Wait) -> Result<HttpResponse, Problem> {
    let counts = match outcome.tenant.sequence {
        // Nobody is in a tenant that has just been made.
        1 => Ok(None),
        _ => tenants::counts(&app.views, outcome.tenant_id).await,
    };
    let counts = match counts {
        Ok(counts) => counts,
        // The command is committed: that the views can't be asked is no reason to call it refused.
        Err(error) if outcome.position.is_some() => {
            tracing::warn!(%error, "a command is answered without the views");
            outcome.in_views = false;
            None
        }
        Err(error) => return Err(error.into()),
    };
    let seen = Seen {
        current_users: counts.as_ref().map_or(0, |counts| counts.current_users),
        // What changed nothing leaves the last activity where it was.
        last_activity: match (&counts, outcome.position) {
            (Some(counts), None) => counts.last_activity_at,
            (_, Some(_)) | (None, None) => outcome.at,
        },
    };
    let body = TenantDetail::of(outcome.tenant_id, &outcome.tenant.state, &seen, outcome.at);
    let body = body.ok_or_else(errors::not_found)?;
    let behind = outcome.position.is_some() && (wait == Wait::No || !outcome.in_views);
    let status = match outcome.remembered_status {
        Some(remembered) => StatusCode::from_u16(remembered).map_err(|_| errors::internal())?,
        None if behind => StatusCode::ACCEPTED,
        None => status,
    };
    let mut response = HttpResponse::build(status);
    if let Some(position) = outcome.position {
        response.insert_header((POSITION, position.to_string()));
    }
    if status == StatusCode::CREATED || outcome.tenant.sequence == 1 {
        response.insert_header((LOCATION, format!("/api/v1/msp/tenants/{}", outcome.tenant_id)));
    }
    if wait == Wait::No {
        response.insert_header(("preference-applied", "respond-async"));
    }
    Ok(response
        .insert_header((ETAG, etag(outcome.tenant.sequence)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(body))
}

/// A reason that the client may leave out; an empty one counts as left out.
fn optional_reason(text: Option<String>) -> Result<Option<Reason>, Problem> {
    let text = text.filter(|text| !text.trim().is_empty());
    text.map(|text| Reason::parse(&text))
        .transpose()
        .map_err(|error| errors::validation(vec![FieldError::new("/reason", error)]))
}
