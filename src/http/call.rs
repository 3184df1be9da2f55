//! One authorized request, in whichever dialect. A handler that takes a [`Call`] can't forget to ask who calls.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload as DevPayload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{self, Bytes, Data, Payload};
use actix_web::{FromRequest, HttpRequest, HttpResponse, Resource, ResponseError, Route, guard};
use serde::de::DeserializeOwned;
use tenure_event_log::Lane;
use uuid::Uuid;

use super::body::{self, BadBody};
use super::conditional::{self, BadHeader};
use super::query::{BadQuery, Query};
use super::rate_limit::TooMany;
use super::request_id;
use crate::app::App;
use crate::dispatch::{CommandContext, Wait};
use crate::identity::{Action, Denied, Principal};
use crate::metrics::http::RouteSlot;

/// How a dialect says what every dialect has to say.
pub trait Dialect: 'static {
    /// Its error body, and how the common refusals look in it.
    type Error: ResponseError
        + From<Denied>
        + From<TooMany>
        + From<BadBody>
        + From<BadHeader>
        + From<BadQuery>
        + 'static;

    /// Its name in the events' metadata.
    const NAME: &'static str;

    /// No such thing, or none that the caller may know of.
    fn not_found() -> Self::Error;
    /// The path exists, the method does not; `methods` does.
    fn method_not_allowed(methods: &'static str) -> Self::Error;
    /// A defect.
    fn internal() -> Self::Error;
    /// The views have not passed the position that the client asked for.
    fn views_behind() -> Self::Error;

    /// As whom the caller acts: itself, unless the dialect knows a way to act elsewhere.
    ///
    /// # Errors
    /// Where the caller may not.
    fn acting(app: &App, principal: Principal, request: &HttpRequest) -> Result<Principal, Self::Error> {
        let _ = (app, request);
        Ok(principal)
    }
}

/// Names the action that an operation needs the right to.
pub trait Operation: 'static {
    /// As the policies spell it.
    const ACTION: Action;
}

/// A request in dialect `D` whose caller may do `O` somewhere in its own tenant's tree.
pub struct Call<D, O> {
    /// Who calls.
    pub principal: Principal,
    /// The service.
    pub app: Data<App>,
    /// The request, without its body.
    pub request: HttpRequest,
    operation: PhantomData<(D, O)>,
}

impl<D: Dialect, O: Operation> FromRequest for Call<D, O> {
    type Error = D::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, D::Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut DevPayload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let app = request.app_data::<Data<App>>().cloned().ok_or_else(D::internal)?;
            let header = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or("?"));
            let principal = app.identity.authenticate(header).await?;
            app.admit(&principal)?;
            let principal = D::acting(&app, principal, &request)?;
            app.identity.authorize(&principal, O::ACTION)?;
            Ok(Self { principal, app, request, operation: PhantomData })
        })
    }
}

impl<D: Dialect, O: Operation> Call<D, O> {
    /// The query string, which may hold these parameters.
    ///
    /// # Errors
    /// It holds another one, or one twice.
    pub fn query(&self, known: &[&str]) -> Result<Query, D::Error> {
        Ok(Query::of(&self.request, known)?)
    }

    /// Waits until views and gate have passed the position that the client asks for.
    ///
    /// # Errors
    /// They have not within the time, or the position is none.
    pub async fn catch_up(&self) -> Result<(), D::Error> {
        let Some(position) = conditional::min_position(&self.request)? else { return Ok(()) };
        let within = self.app.dispatcher.settings().wait_for_views;
        let gate = self.app.identity.gate().wait_for(position, within);
        let (views, gate) = tokio::join!(self.app.views.wait_for(position, within), gate);
        if views && gate { Ok(()) } else { Err(D::views_behind()) }
    }

    /// The whole body, up to the configured limit.
    ///
    /// # Errors
    /// It is longer, or breaks off.
    pub async fn read(&self, mut payload: Payload) -> Result<Bytes, D::Error> {
        Ok(body::read(&mut payload, self.app.body_limit_bytes, &self.app.stopping).await?)
    }

    /// The body as the shape that the operation takes.
    ///
    /// # Errors
    /// It is none.
    pub fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, D::Error> {
        Ok(body::parse(&self.request, body)?)
    }

    /// What the events of this request's command will say about it; the answer waits for the views.
    pub fn command_context(&self) -> CommandContext {
        CommandContext {
            command_id: Uuid::now_v7(),
            actor: self.principal.id(),
            on_behalf_of: None,
            request_id: Some(request_id::current()),
            correlation_id: None,
            causation_id: None,
            dialect: D::NAME,
            reason: None,
            source_address: self.request.peer_addr().map(|address| address.ip()),
            lane: Lane::Foreground,
            wait: Wait::ForViews,
            idempotency: None,
        }
    }
}

/// A path with counters of its own; with another method than those in `methods` it answers 405.
pub fn at<D: Dialect>(path: &str, methods: &'static str) -> Resource {
    web::resource(path)
        .app_data(RouteSlot::default())
        .default_service(web::to(move || async move { Err::<HttpResponse, D::Error>(D::method_not_allowed(methods)) }))
}

/// A route for GET and, as RFC 9110 9.1 wants it, for HEAD: the server leaves the body out.
pub fn reading() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// The answer on a path that nothing serves.
///
/// # Errors
/// Always.
pub async fn nothing_here<D: Dialect>() -> Result<HttpResponse, D::Error> {
    Err(D::not_found())
}
