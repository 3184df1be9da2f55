//! What an OpenAPI document says of the answers that operations have in common.

use std::collections::BTreeMap;

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

/// Every operation of a document.
pub fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|item| {
        let PathItem { get, post, put, patch, delete, .. } = item;
        [get, post, put, patch, delete].into_iter().flatten()
    })
}

/// Adds answers, named by status and with a description, that the operation does not describe itself.
pub fn add<'a>(operation: &mut Operation, answers: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (status, description) in answers {
        let answer = ResponseBuilder::new().description(description).build();
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| answer.into());
    }
}

/// Gives every answer above 399 the dialect's error body: the schema of this name, as this media type.
pub fn describe_errors(operation: &mut Operation, media_type: &str, schema: &str) {
    for answer in matching(&mut operation.responses.responses, |status| status >= 400) {
        let body = Content::new(Some(Ref::from_schema_name(schema)));
        answer.content = std::iter::once((media_type.to_owned(), body)).collect();
    }
}

/// Gives the 202 that an operation describes the body of its success.
pub fn describe_accepted(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    let success = matching(responses, |status| matches!(status, 200 | 201)).next().map(|answer| answer.content.clone());
    if let Some(content) = success {
        matching(responses, |status| status == 202).for_each(|answer| answer.content.clone_from(&content));
    }
}

fn matching(
    responses: &mut BTreeMap<String, RefOr<Response>>,
    is_meant: impl Fn(u16) -> bool,
) -> impl Iterator<Item = &mut Response> {
    responses.iter_mut().filter_map(move |(status, answer)| match answer {
        RefOr::T(answer) if status.parse().is_ok_and(&is_meant) => Some(answer),
        RefOr::T(_) | RefOr::Ref(_) => None,
    })
}
