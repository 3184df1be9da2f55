//! `/docs`: the OpenAPI document as one page to read. Rendered here, so that it needs no script and no other host.

use std::fmt::Write as _;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use serde_json::Value;

const STYLE: &str = include_str!("docs.css");
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The native dialect's page.
pub async fn page() -> HttpResponse {
    page_of(super::openapi::document(), "/openapi.json")
}

/// The page of a document that stands at `path` for programs.
pub fn page_of(document: utoipa::openapi::OpenApi, path: &str) -> HttpResponse {
    let document = serde_json::to_value(document).unwrap_or_default();
    HttpResponse::Ok()
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"))
        .content_type(ContentType::html())
        .body(render(&document, path))
}

fn render(document: &Value, path: &str) -> String {
    let mut page = String::new();
    let title = escape(text(&document["info"]["title"]));
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>{title}</title><style>{STYLE}</style><main><h1>{title} <small>{}</small></h1>",
        escape(text(&document["info"]["version"]))
    );
    paragraphs(&mut page, text(&document["info"]["description"]));
    let _ = write!(page, "<p>The same as a document for programs: <a href={path}>{path}</a> (OpenAPI 3.1).</p>");
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                render_operation(&mut page, method, path, operation);
            }
        }
    }
    page.push_str("<h2>Shapes</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let _ = write!(page, "<section id='{0}'><h3>{0}</h3>", escape(name));
        paragraphs(&mut page, text(&schema["description"]));
        render_properties(&mut page, schema);
        page.push_str("</section>");
    }
    page.push_str("</main></html>");
    page
}

fn render_operation(page: &mut String, method: &str, path: &str, operation: &Value) {
    let _ =
        write!(page, "<section><h3><b class={method}>{}</b> <code>{}</code></h3>", method.to_uppercase(), escape(path));
    paragraphs(page, text(&operation["summary"]));
    paragraphs(page, text(&operation["description"]));
    let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    if !parameters.is_empty() {
        page.push_str("<table><tr><th>Parameter<th>In<th>Type<th>Meaning");
        for parameter in parameters {
            let _ = write!(
                page,
                "<tr><td><code>{}</code><td>{}<td>{}<td>{}",
                escape(text(&parameter["name"])),
                escape(text(&parameter["in"])),
                kind(&parameter["schema"]),
                escape(text(&parameter["description"]))
            );
        }
        page.push_str("</table>");
    }
    if let Some(schema) = operation["requestBody"]["content"]["application/json"].get("schema") {
        let _ = write!(page, "<p>Body: {}</p>", kind(schema));
    }
    page.push_str("<table><tr><th>Status<th>Body<th>Meaning");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let schema =
            response["content"].as_object().and_then(|content| content.values().next()).map(|of| &of["schema"]);
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{}",
            escape(status),
            schema.map_or_else(String::new, kind),
            escape(text(&response["description"]))
        );
    }
    page.push_str("</table></section>");
}

fn render_properties(page: &mut String, schema: &Value) {
    if let Some(parts) = schema["allOf"].as_array() {
        for part in parts {
            render_properties(page, part);
        }
        return;
    }
    let Some(properties) = schema["properties"].as_object() else {
        let _ = write!(page, "<p>{}</p>", kind(schema));
        return;
    };
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    page.push_str("<table><tr><th>Field<th>Type<th>Meaning");
    for (name, property) in properties {
        let mark = if required.contains(&name.as_str()) { "" } else { "?" };
        let _ = write!(
            page,
            "<tr><td><code>{}{mark}</code><td>{}<td>{}",
            escape(name),
            kind(property),
            escape(text(&property["description"]))
        );
    }
    page.push_str("</table>");
}

/// A schema in a few words, with a link where it has a name.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("<a href='#{0}'>{0}</a>", escape(name));
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().filter_map(Value::as_str).map(escape).collect::<Vec<_>>().join(" | ");
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" | ");
    }
    let named = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | "),
        other => text(other).to_owned(),
    };
    match (named.as_str(), schema["format"].as_str()) {
        ("array", _) => format!("{}[]", kind(&schema["items"])),
        (_, Some(format)) => format!("{} ({})", escape(&named), escape(format)),
        (_, None) => escape(&named),
    }
}

fn paragraphs(page: &mut String, text: &str) {
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let _ = write!(page, "<p>{}</p>", escape(paragraph));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}
