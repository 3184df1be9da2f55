//! What the native dialect adds to a request: ids in its paths, versions, idempotency keys, and answers that don't wait.

use actix_web::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tenure_aggregates::TenantId;
use tenure_aggregates::values::Reason;

use super::errors;
use super::problem::Problem;
use crate::dispatch::{CommandContext, IdempotentRequest, Precondition, Scope, Wait};
use crate::http::call::{self, Dialect};
use crate::http::{body, conditional, idempotency};

pub use crate::http::call::Operation;

/// The native dialect.
pub struct Native;

impl Dialect for Native {
    type Error = Problem;
    const NAME: &'static str = "native";

    fn not_found() -> Problem {
        errors::not_found()
    }

    fn method_not_allowed(methods: &'static str) -> Problem {
        errors::method_not_allowed(methods)
    }

    fn internal() -> Problem {
        errors::internal()
    }

    fn views_behind() -> Problem {
        errors::views_behind()
    }
}

/// A request whose caller may do `O` in its own MSP's tree.
pub type Call<O> = call::Call<Native, O>;

/// A JSON object without members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl<O: Operation> Call<O> {
    /// The tenant in the path. What is no id names no tenant; whether the caller may know of it is left to
    /// [`Self::scope_of`].
    pub fn tenant_id(&self) -> Result<TenantId, Problem> {
        self.request.match_info().query("tenantId").parse().map_err(|_| errors::not_found())
    }

    /// The tenants that the caller may see when it asks for this one: none, where the policies withhold it. What is withheld
    /// goes the way of what does not exist, so that nobody can tell the two apart by what else is wrong with a request.
    pub fn scope_of(&self, id: TenantId) -> Scope {
        if self.permits(id) { Scope::CustomersOf(self.principal.tenant) } else { Scope::Nothing }
    }

    /// Whether the policies let the caller do this to the tenant. One that the gate has not heard of yet is a customer like
    /// any other: whose, the log knows.
    pub fn permits(&self, id: TenantId) -> bool {
        let (identity, principal) = (&self.app.identity, &self.principal);
        match identity.gate().resource(id) {
            Some(_) => identity.permits(principal, O::ACTION, id),
            None => identity.permits_any_customer(principal, O::ACTION),
        }
    }

    /// The version that the client wants to change.
    pub fn precondition(&self) -> Result<Precondition, Problem> {
        Ok(conditional::precondition(&self.request)?)
    }

    /// A body that may be left out.
    pub fn parse_optional<T: DeserializeOwned + Default>(&self, body: &[u8]) -> Result<T, Problem> {
        Ok(body::parse_optional(&self.request, body)?)
    }

    /// Refuses a body on an operation that takes none; an empty JSON object is no body.
    pub fn expect_no_body(&self, body: &[u8]) -> Result<(), Problem> {
        if body.is_empty() {
            return Ok(());
        }
        let Nothing {} = body::parse(&self.request, body)?;
        Ok(())
    }

    /// What the events of this request's command will say about it. `status` is that of a success.
    pub fn context(&self, body: &[u8], status: StatusCode, reason: Option<&Reason>) -> Result<CommandContext, Problem> {
        let wait = if conditional::prefers_async(&self.request) { Wait::No } else { Wait::ForViews };
        let status = if wait == Wait::No { StatusCode::ACCEPTED } else { status };
        let context = self.command_context();
        let idempotency = if self.request.method() == actix_web::http::Method::POST {
            idempotency::key_of(&self.request, &context.actor, body)?
        } else {
            None
        };
        Ok(CommandContext {
            reason: reason.map(|reason| reason.as_str().to_owned()),
            wait,
            idempotency: idempotency.map(|key| IdempotentRequest {
                key,
                status: status.as_u16(),
                late_status: StatusCode::ACCEPTED.as_u16(),
            }),
            ..context
        })
    }
}
