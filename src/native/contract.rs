//! The contract with billing exporters, served as it is made from the code: a JSON Schema per type of event, and the
//! `AsyncAPI` document of the Kafka topics. No token: they say nothing about anybody.

use actix_web::http::header::{CacheControl, CacheDirective, ETag, EntityTag, Header, IfNoneMatch};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tenure_projections::billing::BillingType;
use tenure_projections::billing::contract::{Topics, asyncapi, schema, text};
use tenure_projections::export::Export;

use super::errors;
use super::problem::Problem;
use crate::app::App;

/// Readers may keep a file so long without asking again; an optional field may come with any release.
const MAX_AGE_SECONDS: u32 = 3_600;

/// `GET /schemas/billing/{type}.v1.json`.
pub async fn billing_schema(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let kind = BillingType::named(request.match_info().query("type")).ok_or_else(errors::not_found)?;
    Ok(file(&request, text(&schema(kind)), "application/schema+json"))
}

/// `GET /asyncapi.json`.
pub async fn asyncapi_json(request: HttpRequest, app: Data<App>) -> HttpResponse {
    let topics = app.export.as_ref().map_or_else(Topics::default, Export::topics);
    file(&request, text(&asyncapi(topics)), "application/json")
}

/// Answers 304 to a reader that has the file already.
fn file(request: &HttpRequest, text: String, media_type: &'static str) -> HttpResponse {
    let tag = EntityTag::new_strong(URL_SAFE_NO_PAD.encode(&Sha256::digest(&text)[..12]));
    let is_known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(&tag)),
        Ok(IfNoneMatch::Any) => true,
        Err(_) => false,
    };
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header(ETag(tag));
    answer.insert_header(CacheControl(vec![CacheDirective::Public, CacheDirective::MaxAge(MAX_AGE_SECONDS)]));
    if is_known {
        return answer.finish();
    }
    answer.insert_header(("content-type", media_type)).body(text)
}
