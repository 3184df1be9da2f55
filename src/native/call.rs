//! One authorized request. A handler that takes a [`Call`] can't forget to ask who calls.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload as DevPayload;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{FromRequest, HttpRequest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tenure_aggregates::TenantId;
use tenure_aggregates::values::Reason;
use tenure_event_log::Lane;
use uuid::Uuid;

use super::errors;
use super::problem::Problem;
use crate::app::App;
use crate::dispatch::{CommandContext, IdempotentRequest, Precondition, Scope, Wait};
use crate::http::body;
use crate::http::conditional;
use crate::http::idempotency;
use crate::http::query::Query;
use crate::http::request_id;
use crate::identity::{Action, Principal};

/// Names the action that an operation needs the right to.
pub trait Operation: 'static {
    /// As the policies spell it.
    const ACTION: Action;
}

/// A JSON object without members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A request whose caller may do `O` in its own MSP's tree.
pub struct Call<O> {
    /// Who calls.
    pub principal: Principal,
    /// The service.
    pub app: Data<App>,
    /// The request, without its body.
    pub request: HttpRequest,
    operation: PhantomData<O>,
}

impl<O: Operation> FromRequest for Call<O> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut DevPayload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let app = request.app_data::<Data<App>>().cloned().ok_or_else(errors::internal)?;
            let header = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or("?"));
            let principal = app.identity.authenticate(header).await?;
            app.admit(&principal)?;
            app.identity.authorize(&principal, O::ACTION)?;
            Ok(Self { principal, app, request, operation: PhantomData })
        })
    }
}

impl<O: Operation> Call<O> {
    /// The tenants that the caller may see.
    pub fn scope(&self) -> Scope {
        Scope::CustomersOf(self.principal.tenant)
    }

    /// The tenant in the path. What is no id names no tenant, and what the policies withhold looks absent.
    pub fn tenant_id(&self) -> Result<TenantId, Problem> {
        let id = self.request.match_info().query("tenantId").parse().map_err(|_| errors::not_found())?;
        self.permitted(id)?;
        Ok(id)
    }

    /// Refuses a tenant that the policies withhold. One that the gate has not heard of yet is left to the log, which every
    /// operation asks within its scope.
    pub fn permitted(&self, id: TenantId) -> Result<(), Problem> {
        let identity = &self.app.identity;
        if identity.gate().resource(id).is_some() && !identity.permits(&self.principal, O::ACTION, id) {
            return Err(errors::not_found());
        }
        Ok(())
    }

    /// The query string, which may hold these parameters.
    pub fn query(&self, known: &[&str]) -> Result<Query, Problem> {
        Ok(Query::of(&self.request, known)?)
    }

    /// Waits until the views have passed the position that the client asks for.
    pub async fn catch_up(&self) -> Result<(), Problem> {
        let Some(position) = conditional::min_position(&self.request)? else { return Ok(()) };
        let passed = self.app.views.wait_for(position, self.app.dispatcher.settings().wait_for_views).await;
        if passed { Ok(()) } else { Err(errors::views_behind()) }
    }

    /// The version that the client wants to change.
    pub fn precondition(&self) -> Result<Precondition, Problem> {
        Ok(conditional::precondition(&self.request)?)
    }

    /// The whole body, up to the configured limit.
    pub async fn read(&self, mut payload: Payload) -> Result<Bytes, Problem> {
        Ok(body::read(&mut payload, self.app.body_limit_bytes, &self.app.stopping).await?)
    }

    /// The body as the shape that the operation takes.
    pub fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Problem> {
        Ok(body::parse(&self.request, body)?)
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
        let actor = self.principal.id();
        let idempotency = if self.request.method() == actix_web::http::Method::POST {
            idempotency::key_of(&self.request, &actor, body)?
        } else {
            None
        };
        Ok(CommandContext {
            command_id: Uuid::now_v7(),
            actor,
            on_behalf_of: None,
            request_id: Some(request_id::current()),
            correlation_id: None,
            causation_id: None,
            dialect: "native",
            reason: reason.map(|reason| reason.as_str().to_owned()),
            source_address: self.request.peer_addr().map(|address| address.ip()),
            lane: Lane::Foreground,
            wait,
            idempotency: idempotency.map(|key| IdempotentRequest {
                key,
                status: status.as_u16(),
                late_status: StatusCode::ACCEPTED.as_u16(),
            }),
        })
    }
}
