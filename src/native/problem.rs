//! The native dialect's error body: RFC 9457 `application/problem+json`.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::request_id;

/// The media type of every answer above 399.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// One thing that is wrong with the request's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the field.
    #[schema(example = "/shortCode")]
    pub pointer: String,
    /// What is wrong with it and what is allowed.
    #[schema(example = "must be 3 to 20 letters, digits or hyphens")]
    pub detail: String,
}

impl FieldError {
    /// `detail` is wrong with the field at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { pointer: pointer.into(), detail: detail.to_string() }
    }
}

/// The body of every answer above 399 (RFC 9457). Answers above 499 say nothing but the request id.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProblemBody<'a> {
    /// `urn:tenure:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:tenure:problem:short-code-taken")]
    kind: String,
    /// The same for every problem of this type.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// Stable name of the problem, for programs.
    #[schema(example = "short-code-taken")]
    code: &'a str,
    /// What happened this time, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// Also in the `X-Request-Id` header and in the service's log.
    request_id: &'a str,
}

/// For the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = Problem, rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub struct ProblemSchema {
    /// `urn:tenure:problem:` and the code.
    #[schema(rename = "type", example = "urn:tenure:problem:short-code-taken")]
    kind: String,
    /// The same for every problem of this type.
    title: String,
    /// The HTTP status.
    status: u16,
    /// Stable name of the problem, for programs.
    code: String,
    /// What happened this time, for people; never on an answer above 499.
    detail: Option<String>,
    /// What is wrong with which field.
    errors: Option<Vec<FieldError>>,
    /// Also in the `X-Request-Id` header and in the service's log.
    request_id: String,
}

/// An answer that is an error.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Option<Box<str>>,
    errors: Vec<FieldError>,
    retry_after_seconds: Option<u32>,
    challenge: Option<Box<str>>,
    allow: Option<&'static str>,
}

impl Problem {
    /// A problem of the kind `code`, whose `title` is the same each time.
    #[must_use]
    pub const fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self {
            status,
            code,
            title,
            detail: None,
            errors: Vec::new(),
            retry_after_seconds: None,
            challenge: None,
            allow: None,
        }
    }

    /// What happened this time. Shown for 4xx only.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string().into());
        self
    }

    /// Points to the fields that are wrong.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// When to try again.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// The `WWW-Authenticate` header of a 401.
    #[must_use]
    pub fn challenge(mut self, challenge: impl Into<Box<str>>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// The `Allow` header of a 405.
    #[must_use]
    pub const fn allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let silent = self.status.is_server_error();
        let request_id = request_id::current();
        let body = ProblemBody {
            kind: format!("urn:tenure:problem:{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail.as_deref().filter(|_| !silent),
            errors: &self.errors,
            request_id: &request_id,
        };
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if let Some(challenge) = &self.challenge {
            response.insert_header((WWW_AUTHENTICATE, &**challenge));
        }
        if let Some(methods) = self.allow {
            response.insert_header((ALLOW, methods));
        }
        response.insert_header(("cache-control", "no-store"));
        let text = serde_json::to_vec(&body).unwrap_or_default();
        response.insert_header((CONTENT_TYPE, MEDIA_TYPE)).body(text)
    }
}
