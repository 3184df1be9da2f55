//! Reads a query string strictly: a parameter that is unknown, doubled or empty of sense is refused, never ignored.

use std::collections::BTreeMap;
use std::str::FromStr;

use actix_web::HttpRequest;

/// What is wrong with a query parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("query parameter {parameter:?}: {reason}")]
pub struct BadQuery {
    /// The parameter's name, as sent.
    pub parameter: String,
    /// What was wrong and what is allowed.
    pub reason: String,
}

impl BadQuery {
    /// The parameter `name` is refused for `reason`.
    pub fn new(name: &str, reason: impl Into<String>) -> Self {
        Self { parameter: name.to_owned(), reason: reason.into() }
    }
}

/// The parameters of one request that nobody has taken yet.
pub struct Query {
    parameters: BTreeMap<String, String>,
}

impl Query {
    /// Splits the request's query string; only the names in `known` are allowed, each at most once.
    ///
    /// # Errors
    /// Names the parameter that is unknown or doubled, or whose value is not UTF-8 or holds U+0000.
    pub fn of(request: &HttpRequest, known: &[&str]) -> Result<Self, BadQuery> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
            if !known.contains(&&*name) {
                let allowed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(BadQuery::new(&shown(&name), format!("unknown; allowed here: {allowed}")));
            }
            // A lossy decoding leaves U+FFFD where the bytes were no UTF-8.
            if value.contains(['\0', '\u{fffd}']) {
                return Err(BadQuery::new(&name, "not valid text"));
            }
            if parameters.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(BadQuery::new(&name, "given twice"));
            }
        }
        Ok(Self { parameters })
    }

    /// Splits the query string of a dialect that passes over parameters which mean nothing to it. Of one that is given
    /// several times the first counts.
    ///
    /// # Errors
    /// Names the parameter whose value is not UTF-8 or holds U+0000.
    pub fn tolerant(request: &HttpRequest) -> Result<Self, BadQuery> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
            if value.contains(['\0', '\u{fffd}']) {
                return Err(BadQuery::new(&shown(&name), "not valid text"));
            }
            parameters.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Ok(Self { parameters })
    }

    /// Takes a parameter and parses it; `expected` says in words what is allowed.
    ///
    /// # Errors
    /// Names the parameter where its value doesn't parse.
    pub fn take<T: FromStr>(&mut self, name: &str, expected: &str) -> Result<Option<T>, BadQuery> {
        let Some(text) = self.parameters.remove(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| BadQuery::new(name, format!("must be {expected}")))
    }
}

/// A name from outside, cut so that an error message stays readable.
fn shown(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn query(text: &str) -> Result<Query, BadQuery> {
        Query::of(&TestRequest::with_uri(&format!("/x?{text}")).to_http_request(), &["page", "status"])
    }

    #[test]
    fn unknown_and_doubled_parameters_are_refused() {
        assert_eq!(query("pgae=1").err().unwrap().parameter, "pgae");
        assert_eq!(query("page=1&page=2").err().unwrap().reason, "given twice");
        assert!(query("status=%00").is_err());
        assert!(query("status=%ff").is_err());
    }

    #[test]
    fn a_value_that_does_not_parse_names_what_is_allowed() {
        let error = query("page=-1").unwrap().take::<u32>("page", "a number from 1").unwrap_err();
        assert_eq!(error.to_string(), r#"query parameter "page": must be a number from 1"#);
    }
}
