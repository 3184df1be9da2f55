//! Tenants as this dialect shows them. One file per operation; the shapes that they share stand here.

pub mod create;
pub mod delete;
pub mod dns;
pub mod invite;
pub mod list;
pub mod read;
pub mod respond;
pub mod subscription;
pub mod unlink;
pub mod update;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use tenure_aggregates::TenantId;
use tenure_aggregates::link::{GroupGrant, GroupGrants, Link, Stage};
use tenure_aggregates::values::{DisplayName, GroupId};
use tenure_projections::links::LinkRecord;
use utoipa::ToSchema;

use super::errors::{JSON, Refusal};
use crate::dispatch::{LinkKey, LinkOutcome};
use crate::http::body::Object;
use crate::http::conditional::POSITION;

/// A group of the MSP's people, and what they are in the tenant.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// The group's id in the MSP's identity provider.
    #[schema(example = "ch8i4ug6lnn4g9hqv7m0")]
    id: String,
    /// `owner`, `admin`, `network_admin`, `billing_admin`, `auditor` or `user`.
    #[schema(example = "admin")]
    role: String,
}

/// How the MSP is linked to the account.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The domain is not verified yet.
    Pending,
    /// The account was there before; the MSP has no access.
    Existing,
    /// The account's owner was asked.
    Invited,
    /// The MSP manages the account.
    Active,
}

/// A tenant of an MSP.
#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantBody {
    /// Id of the account.
    #[schema(example = "0198a1b2-c3d4-7000-8000-000000000001")]
    id: String,
    /// What the MSP calls it.
    #[schema(example = "My new tenant")]
    name: String,
    /// Its domain, in lower case.
    #[schema(example = "tenant.com")]
    domain: String,
    /// Which of the MSP's people may do what in it.
    groups: Vec<Group>,
    /// When it became active. Left out before, never null.
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_at: Option<DateTime<Utc>>,
    /// What to publish in a TXT record at the domain, as `nb-verification=` and this.
    dns_challenge: String,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it changed last.
    updated_at: DateTime<Utc>,
    /// When its owner was asked. Left out before, never null.
    #[serde(skip_serializing_if = "Option::is_none")]
    invited_at: Option<DateTime<Utc>>,
    /// How it is linked.
    status: Status,
}

impl Status {
    /// `None` for a link that does not hold.
    const fn of(stage: Stage) -> Option<Self> {
        match stage {
            Stage::Absent | Stage::Ended => None,
            Stage::Pending => Some(Self::Pending),
            Stage::Existing => Some(Self::Existing),
            Stage::Invited => Some(Self::Invited),
            Stage::Active => Some(Self::Active),
        }
    }
}

impl TenantBody {
    /// From the log; `None` for a link that does not hold.
    fn of(account: TenantId, link: &Link) -> Option<Self> {
        let terms = link.terms()?;
        let (activated_at, invited_at) = match link {
            Link::Absent | Link::Pending { .. } | Link::Existing { .. } | Link::Ended { .. } => (None, None),
            Link::Invited { invited_at, .. } => (None, Some(*invited_at)),
            Link::Active { activated_at, invited_at, .. } => (Some(*activated_at), *invited_at),
        };
        Some(Self {
            id: account.to_string(),
            name: terms.link.name.to_string(),
            domain: terms.link.domain.to_string(),
            groups: shown(&terms.link.groups),
            activated_at,
            dns_challenge: terms.link.dns_challenge.to_string(),
            created_at: terms.created_at,
            updated_at: terms.updated_at,
            invited_at,
            status: Status::of(link.stage())?,
        })
    }

    /// From the views; `None` for a link that does not hold.
    fn listed(record: LinkRecord) -> Option<Self> {
        Some(Self {
            id: record.tenant_id.to_string(),
            groups: shown(&record.groups),
            name: record.name,
            domain: record.domain,
            activated_at: record.activated_at,
            dns_challenge: record.dns_challenge,
            created_at: record.created_at,
            updated_at: record.updated_at,
            invited_at: record.invited_at,
            status: Status::of(record.stage)?,
        })
    }
}

fn shown(groups: &GroupGrants) -> Vec<Group> {
    groups.iter().map(|grant| Group { id: grant.id.to_string(), role: grant.role.to_string() }).collect()
}

/// A field that must be there but may be null.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(value)
}

fn name(text: &str) -> Result<DisplayName, Refusal> {
    DisplayName::parse(text).map_err(|why| Refusal::invalid("name", why))
}

/// No list counts as an empty one.
fn groups(given: Option<Vec<Object<Group>>>) -> Result<GroupGrants, Refusal> {
    let mut grants = Vec::new();
    for Object(Group { id, role }) in given.unwrap_or_default() {
        let id = GroupId::parse(&id).map_err(|why| Refusal::invalid("groups: id", why))?;
        let role = role.parse().map_err(|why| Refusal::invalid("groups: role", why))?;
        grants.push(GroupGrant { id, role });
    }
    GroupGrants::try_from(grants).map_err(|why| Refusal::invalid("groups:", why))
}

/// The tenant as a command left it.
fn tenant(outcome: &LinkOutcome) -> Result<HttpResponse, Refusal> {
    let body = TenantBody::of(outcome.key.account, &outcome.link).ok_or_else(Refusal::not_found)?;
    Ok(answer(outcome, &body))
}

/// The tenant as it is.
fn tenant_now(key: LinkKey, link: Link) -> Result<HttpResponse, Refusal> {
    tenant(&LinkOutcome { key, link, position: None })
}

/// `{}`.
fn done(outcome: &LinkOutcome) -> HttpResponse {
    answer(outcome, &serde_json::Map::new())
}

fn answer(outcome: &LinkOutcome, body: &impl Serialize) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(position) = outcome.position {
        response.insert_header((POSITION, position.to_string()));
    }
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((CONTENT_TYPE, JSON)).json(body)
}
