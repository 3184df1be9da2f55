//! `GET /me`: who one is. Every role may ask, the tenants' people too.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::call::{Call, Operation};
use super::problem::{Problem, ProblemSchema};
use crate::identity::Action;

/// The right to ask who one is.
pub struct WhoAmI;

impl Operation for WhoAmI {
    const ACTION: Action = Action::WhoAmI;
}

/// Who the token stands for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// The token's subject.
    #[schema(example = "anna")]
    subject: String,
    /// The role that it acts in.
    #[schema(example = "msp-admin")]
    role: String,
    /// The tenant that it belongs to; for an MSP's staff the MSP itself.
    tenant: Uuid,
    /// The groups that the token says it is in.
    groups: Vec<String>,
}

/// Who am I?
#[utoipa::path(
    get, path = "/api/v1/me", tag = "identity", operation_id = "whoAmI",
    responses(
        (status = 200, description = "Subject, role, tenant and groups of the token", body = Me),
        (status = 403, description = "tenant suspended", body = ProblemSchema),
    ),
)]
pub async fn me(call: Call<WhoAmI>) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let Call { principal, .. } = call;
    let me = Me {
        subject: principal.subject.clone(),
        role: principal.role.as_str().to_owned(),
        tenant: principal.tenant.as_uuid(),
        groups: principal.groups.iter().map(ToString::to_string).collect(),
    };
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(me))
}
