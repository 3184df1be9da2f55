//! How personal values are marked: `{"$personal": value}` outside the log, `{"$sealed": text}` inside, `{"$erased":
//! true}` for what can't be opened any more. Metadata is a flat object of strings, so there the mark is a prefix.

use serde_json::{Map, Value, json};

const PERSONAL: &str = "$personal";
const SEALED: &str = "$sealed";
const ERASED: &str = "$erased";

const SEALED_PREFIX: &str = "sealed:";

/// Before a plain text that happens to look marked, so that nobody can write a text that the log would try to open.
const PLAIN_PREFIX: &str = "plain:";

/// What a metadata value reads as once its key was destroyed.
pub(super) const ERASED_TEXT: &str = "erased";

/// What is wrong with an object that a caller hands over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forged;

/// The personal value of `{"$personal": value}`; an error if an object bears a mark that the caller can't give.
pub(super) fn personal(object: &Map<String, Value>) -> Result<Option<&Value>, Forged> {
    if object.contains_key(SEALED) || object.contains_key(ERASED) {
        return Err(Forged);
    }
    match object.get(PERSONAL) {
        Some(_) if object.len() > 1 => Err(Forged),
        value => Ok(value),
    }
}

pub(super) fn has_personal(payload: &Value) -> bool {
    has_mark(payload, PERSONAL)
}

pub(super) fn has_sealed(payload: &Value) -> bool {
    has_mark(payload, SEALED)
}

fn has_mark(value: &Value, mark: &str) -> bool {
    match value {
        Value::Object(object) => object.contains_key(mark) || object.values().any(|value| has_mark(value, mark)),
        Value::Array(items) => items.iter().any(|item| has_mark(item, mark)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A copy of the payload in which `seal` replaced each personal value, given its JSON pointer.
pub(super) fn seal(payload: &Value, seal: impl Fn(&str, &Value) -> String) -> Value {
    sealed_copy(payload, &mut String::new(), &seal)
}

fn sealed_copy(value: &Value, path: &mut String, seal: &impl Fn(&str, &Value) -> String) -> Value {
    match value {
        Value::Object(object) => match object.get(PERSONAL) {
            Some(personal) => json!({ SEALED: seal(path, personal) }),
            None => object
                .iter()
                .map(|(name, value)| (name.clone(), below(path, name, |path| sealed_copy(value, path, seal))))
                .collect(),
        },
        Value::Array(items) => (0usize..)
            .zip(items)
            .map(|(index, item)| below(path, &index.to_string(), |path| sealed_copy(item, path, seal)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Replaces each sealed value by what `open` makes of it, given its JSON pointer; `None` if it is erased.
pub(super) fn open<E>(payload: &mut Value, open: impl Fn(&str, &str) -> Result<Option<Value>, E>) -> Result<(), E> {
    open_in_place(payload, &mut String::new(), &open)
}

fn open_in_place<E>(
    value: &mut Value,
    path: &mut String,
    open: &impl Fn(&str, &str) -> Result<Option<Value>, E>,
) -> Result<(), E> {
    match value {
        Value::Object(object) => {
            if let Some(sealed) = object.get(SEALED).and_then(Value::as_str) {
                *value = match open(path, sealed)? {
                    Some(personal) => json!({ PERSONAL: personal }),
                    None => json!({ ERASED: true }),
                };
                return Ok(());
            }
            object.iter_mut().try_for_each(|(name, value)| below(path, name, |path| open_in_place(value, path, open)))
        }
        Value::Array(items) => (0usize..)
            .zip(items)
            .try_for_each(|(index, item)| below(path, &index.to_string(), |path| open_in_place(item, path, open))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Runs `visit` with one more segment on the JSON pointer.
fn below<T>(path: &mut String, segment: &str, visit: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push('/');
    path.push_str(&segment.replace('~', "~0").replace('/', "~1"));
    let visited = visit(path);
    path.truncate(length);
    visited
}

/// What a metadata value is bound to in place of a JSON pointer; no pointer looks like it.
pub(super) fn metadata_path(name: &str) -> String {
    format!("metadata:{name}")
}

pub(super) fn sealed_text(sealed: &str) -> String {
    format!("{SEALED_PREFIX}{sealed}")
}

pub(super) fn is_sealed_text(text: &str) -> bool {
    text.starts_with(SEALED_PREFIX)
}

pub(super) fn unsealed_text(text: &str) -> Option<&str> {
    text.strip_prefix(SEALED_PREFIX)
}

/// A plain text as it is stored: itself, unless it looks marked.
pub(super) fn plain_text(text: &str) -> String {
    let looks_marked = text == ERASED_TEXT || text.starts_with(SEALED_PREFIX) || text.starts_with(PLAIN_PREFIX);
    if looks_marked { format!("{PLAIN_PREFIX}{text}") } else { text.to_owned() }
}

pub(super) fn unescaped_text(text: &str) -> Option<&str> {
    text.strip_prefix(PLAIN_PREFIX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_personal_value_is_sealed_under_its_own_pointer() {
        let payload = json!({"a.b": {"x/y": [{"$personal": "v"}, 1], "~": {"$personal": {"deep": true}}}});
        let sealed = seal(&payload, |path, value| format!("{path}={value}"));
        assert_eq!(
            sealed,
            json!({"a.b": {"x/y": [{"$sealed": "/a.b/x~1y/0=\"v\""}, 1], "~": {"$sealed": "/a.b/~0={\"deep\":true}"}}})
        );
    }

    #[test]
    fn a_caller_can_not_hand_over_what_only_the_log_writes() {
        for forged in [json!({"$sealed": "v1.x"}), json!({"$erased": true}), json!({"$personal": 1, "other": 2})] {
            assert_eq!(personal(forged.as_object().unwrap()), Err(Forged), "{forged}");
        }
    }

    #[test]
    fn a_plain_text_that_looks_marked_comes_back_as_it_was() {
        for text in ["sealed:v1.x", "plain:y", "plain:sealed:z", "erased"] {
            let stored = plain_text(text);
            assert!(!is_sealed_text(&stored));
            assert_eq!(unescaped_text(&stored), Some(text));
        }
        assert_eq!(plain_text("non-payment"), "non-payment");
    }
}
