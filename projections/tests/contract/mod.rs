//! The contract with billing exporters: what is made from the code equals the frozen copies in `docs/contract`, changes
//! only as readers can bear, and holds for every event that there is.
//!
//! `make contract` writes the copies anew after a change that breaks nobody.

mod checker;
mod compatibility;
mod validity;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tenure_projections::billing::BillingType;
use tenure_projections::billing::contract::{Topics, asyncapi, schema, text};

use compatibility::breaking_changes;

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/contract"))
}

/// The files that belong into the directory.
fn made() -> BTreeMap<String, Value> {
    let schemas = BillingType::ALL.map(|kind| (format!("{}.v1.json", kind.name()), schema(kind)));
    let document = ("asyncapi.json".to_owned(), asyncapi(Topics::default()));
    schemas.into_iter().chain([document]).collect()
}

fn frozen() -> BTreeMap<String, String> {
    let files = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect()
}

#[test]
fn the_contract_breaks_no_reader_and_its_copies_are_up_to_date() {
    let (made, frozen) = (made(), frozen());
    let mut breaks = Vec::new();
    for (name, text) in &frozen {
        match made.get(name) {
            None => breaks.push(format!("{name}: the type of event was removed")),
            Some(new) => {
                let changes = breaking_changes(&serde_json::from_str(text).unwrap(), new);
                breaks.extend(changes.into_iter().map(|change| format!("{name}: {change}")));
            }
        }
    }
    assert!(breaks.is_empty(), "this breaks whoever reads billing events:\n{}", breaks.join("\n"));
    let stale = made.iter().filter(|(name, new)| frozen.get(*name) != Some(&text(new)));
    if std::env::var_os("TENURE_WRITE_CONTRACT").is_some() {
        stale.for_each(|(name, new)| fs::write(directory().join(name), text(new)).unwrap());
    } else {
        let stale: Vec<_> = stale.map(|(name, _)| name).collect();
        assert!(stale.is_empty(), "not what the code makes any more, `make contract` writes them anew: {stale:?}");
    }
}

#[test]
fn the_topics_document_refers_only_to_what_it_holds() {
    let document = asyncapi(Topics { billing: "b", progress: "p" });
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 3 * BillingType::ALL.len(), "{references:?}");
    for reference in references {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference} leads nowhere");
    }
    assert_eq!(document["channels"]["billing"]["address"], "b");
    assert_eq!(document["channels"]["progress"]["address"], "p");
}

fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
