//! Each command is in the log as often as its answers promise, under its mark, with the events that it asks for.

use std::collections::HashSet;

use super::Facts;
use crate::history::{History, Promise, Record};

/// Adds what is wrong to `faults`.
pub fn compare(history: &History, facts: &Facts, faults: &mut Vec<String>) {
    let mut marks = HashSet::new();
    for record in &history.records {
        if !marks.insert(record.mark.as_str()) {
            faults.push(format!("the campaign used the mark {} twice", record.mark));
        }
        check(record, facts, faults);
    }
    for (mark, fact) in &facts.commands {
        if !marks.contains(mark.as_str()) {
            faults.push(format!("nobody asked for {mark}, and it is in the log: {fact:?}"));
        }
    }
    for (short_code, believed) in &history.tenants {
        let Some(tenant) = facts.tenants.get(&believed.id) else {
            faults.push(format!("tenant {short_code} ({}) is not in the log", believed.id));
            continue;
        };
        if tenant.short_code != *short_code || believed.stage.is_some_and(|stage| stage != tenant.stage) {
            faults.push(format!("tenant {short_code} is {tenant:?} in the log, and was told to be {believed:?}"));
        }
    }
}

fn check(record: &Record, facts: &Facts, faults: &mut Vec<String>) {
    let told = record.attempts.join(", ");
    let Record { mark, kind, promise, .. } = record;
    let Some(fact) = facts.commands.get(mark) else {
        if *promise == Promise::Done {
            faults.push(format!("{mark} ({kind:?}) was acknowledged and is lost: {told}"));
        }
        return;
    };
    if *promise == Promise::NotDone {
        faults.push(format!("{mark} ({kind:?}) was refused and is in the log: {told}"));
    }
    if fact.appends.len() != 1 {
        faults.push(format!("{mark} ({kind:?}) is in the log {} times: {told}", fact.appends.len()));
    }
    for events in fact.appends.values() {
        if events != kind.events() {
            faults.push(format!("{mark} ({kind:?}) wrote {events:?}"));
        }
    }
    if record.position.is_some_and(|position| position != fact.last) {
        faults.push(format!("{mark} was told to be at {:?} and is at {}", record.position, fact.last));
    }
}
