//! Whether readers of a frozen schema or `AsyncAPI` document can live with a new one.
//!
//! What is on the topic stays there for ever and readers of the old document go on: so a field may neither go, nor hold
//! anything else, nor begin to be required, and only an optional one may come.

use serde_json::{Map, Value};

/// Says something to people only.
const ANNOTATIONS: &[&str] = &["title", "description", "summary", "examples", "deprecated", "$comment", "info"];

/// Objects whose members have names of our choice: one may come, none may go.
const NAMED: &[&str] = &["properties", "$defs", "channels", "operations", "messages", "schemas"];

/// Arrays to which something may be added.
const GROWING: &[&str] = &["messages"];

/// What breaks, one line each, with the place.
pub fn breaking_changes(frozen: &Value, new: &Value) -> Vec<String> {
    let mut breaks = Vec::new();
    match (frozen, new) {
        (Value::Object(frozen), Value::Object(new)) => compare("", frozen, new, &mut breaks),
        _ => breaks.push("one of the documents is no object".to_owned()),
    }
    breaks
}

fn compare(place: &str, frozen: &Map<String, Value>, new: &Map<String, Value>, breaks: &mut Vec<String>) {
    if is_internal(frozen) {
        return;
    }
    for (keyword, was) in frozen {
        let place = format!("{place}/{keyword}");
        match (new.get(keyword), was) {
            _ if ANNOTATIONS.contains(&keyword.as_str()) => {}
            (None, _) => breaks.push(format!("{place} was removed")),
            (Some(Value::Object(is)), Value::Object(was)) if NAMED.contains(&keyword.as_str()) => {
                named(&place, was, is, breaks);
            }
            (Some(Value::Object(is)), Value::Object(was)) => compare(&place, was, is, breaks),
            (Some(Value::Array(is)), Value::Array(was)) => {
                let may_grow = GROWING.contains(&keyword.as_str());
                let gone = was.iter().filter(|item| !is.contains(item));
                breaks.extend(gone.map(|item| format!("{place} has no {item} any more")));
                let come = is.iter().filter(|item| !may_grow && !was.contains(item));
                breaks.extend(come.map(|item| format!("{place} has {item} now")));
            }
            (Some(is), was) if is != was => breaks.push(format!("{place} was {was} and is {is}")),
            (Some(_), _) => {}
        }
    }
    let come = new.keys().filter(|keyword| !frozen.contains_key(*keyword) && !ANNOTATIONS.contains(&keyword.as_str()));
    breaks.extend(come.map(|keyword| format!("{place}/{keyword} was added")));
}

fn named(place: &str, frozen: &Map<String, Value>, new: &Map<String, Value>, breaks: &mut Vec<String>) {
    for (name, was) in frozen {
        match (was, new.get(name)) {
            (Value::Object(was), _) if is_internal(was) => {}
            (_, None) => breaks.push(format!("{place}/{name} was removed")),
            (Value::Object(was), Some(Value::Object(is))) => compare(&format!("{place}/{name}"), was, is, breaks),
            (was, Some(is)) if was != is => breaks.push(format!("{place}/{name} was {was} and is {is}")),
            (_, Some(_)) => {}
        }
    }
}

/// Nobody outside may rely on it.
fn is_internal(object: &Map<String, Value>) -> bool {
    object.get("x-internal") == Some(&Value::Bool(true))
}
