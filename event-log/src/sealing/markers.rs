//! How personal values are marked: `{"$personal": value}` outside the log, `{"$sealed": text}` inside, `{"$erased":
//! true}` for what can't be opened any more. Metadata is a flat object of strings, so there the mark is a prefix.

use std::borrow::Cow;

use serde_json::{Value, json};

pub(super) const PERSONAL: &str = "$personal";
pub(super) const SEALED: &str = "$sealed";
pub(super) const ERASED: &str = "$erased";

const SEALED_PREFIX: &str = "sealed:";

/// Before a plain text that happens to look marked, so that nobody can write a text that the log would try to open.
const PLAIN_PREFIX: &str = "plain:";

/// What a metadata value reads as once its key was destroyed.
pub(super) const ERASED_TEXT: &str = "erased";

pub(super) fn has_sealed(payload: &Value) -> bool {
    match payload {
        Value::Object(object) => object.contains_key(SEALED) || object.values().any(has_sealed),
        Value::Array(items) => items.iter().any(has_sealed),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
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
    push_segment(path, segment);
    let visited = visit(path);
    path.truncate(length);
    visited
}

pub(super) fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    if segment.contains(['~', '/']) {
        pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(segment);
    }
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
pub(super) fn plain_text(text: &str) -> Cow<'_, str> {
    let looks_marked = text == ERASED_TEXT || text.starts_with(SEALED_PREFIX) || text.starts_with(PLAIN_PREFIX);
    if looks_marked { format!("{PLAIN_PREFIX}{text}").into() } else { text.into() }
}

pub(super) fn unescaped_text(text: &str) -> Option<&str> {
    text.strip_prefix(PLAIN_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
