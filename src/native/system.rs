//! `GET /system/health/ping`: whether anybody answers at all. No token.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

/// The answer to a ping.
#[derive(Serialize, ToSchema)]
pub struct Pong {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Is anybody there?
///
/// Says only that the process answers; `/health/ready` says whether it can work.
#[utoipa::path(
    get, path = "/api/v1/system/health/ping", tag = "system", operation_id = "ping", security(()),
    responses((status = 200, description = "The service answers", body = Pong)),
)]
pub async fn ping() -> HttpResponse {
    HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(Pong { status: "ok" })
}
