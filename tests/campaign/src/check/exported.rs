//! The billing topic against the log: every billing event once, each tenant's in order, and nothing else.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use tenure_event_log::{EventLog, Position};
use tenure_projections::billing::BillingType;
use uuid::Uuid;

use super::verdict;
use crate::cell::Cell;
use crate::topic::{self, Record};

const PAGE: usize = 1_000;
/// How long it may take until readers see everything: what a broker that died does not show is noticed after a while, taken back
/// and sent again.
const SHOWN_WITHIN: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_secs(1);

/// A billing event as the log has it.
#[derive(Debug, PartialEq, Eq)]
struct Billed {
    kind: String,
    tenant: Uuid,
}

/// Compares what a read-committed consumer gets with the log; how many events there are.
///
/// # Errors
/// Names what is lost, doubled, altered or out of order.
pub async fn exported(cell: &Cell, brokers: &str, topic: &str) -> anyhow::Result<usize> {
    let log = cell.log().await?;
    let billed = billed(&log).await;
    log.shutdown().await;
    let billed = billed?;
    let began = Instant::now();
    let records = loop {
        let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
        let records = tokio::task::spawn_blocking(move || topic::read(&brokers, &topic)).await??;
        if records.len() >= billed.len() || began.elapsed() > SHOWN_WITHIN {
            break records;
        }
        tokio::time::sleep(PAUSE).await;
    };
    verdict(&differences(&billed, &records))?;
    Ok(billed.len())
}

/// What is to be billed, by position, worked out from the events alone.
async fn billed(log: &EventLog) -> anyhow::Result<BTreeMap<u64, Billed>> {
    let (mut billed, mut msps, mut after) = (BTreeMap::new(), HashSet::new(), Position::START);
    loop {
        let page = log.read(after, PAGE).await.context("the log can't be read")?;
        let Some(last) = page.last() else { return Ok(billed) };
        after = last.position;
        for event in page {
            let payload: Value = event.payload.parse().context("an event's payload can't be read")?;
            if payload["tenant.provisioned"]["kind"]["type"] == "msp" {
                msps.insert(event.tenant_id);
            }
            if BillingType::named(&event.event_type).is_some() && !msps.contains(&event.tenant_id) {
                billed.insert(
                    event.position.get(),
                    Billed { kind: event.event_type.into_owned(), tenant: event.tenant_id },
                );
            }
        }
    }
}

fn differences(billed: &BTreeMap<u64, Billed>, records: &[Record]) -> Vec<String> {
    let (mut faults, mut seen, mut ids) = (Vec::new(), HashSet::new(), HashSet::new());
    // Of each tenant: the partition and the position of its last record.
    let mut last: HashMap<&str, (i32, u64)> = HashMap::new();
    for record in records {
        let (partition, id) = (record.partition, record.header("ce_id"));
        let place = format!("the record at {partition}/{}", record.offset);
        let Ok(position) = record.header("ce_sequence").parse::<u64>() else {
            faults.push(format!("{place} has no sequence: {record:?}"));
            continue;
        };
        let Some(expected) = billed.get(&position) else {
            faults.push(format!("{place} is of position {position}, where the log has no billing event"));
            continue;
        };
        if !seen.insert(position) || !ids.insert(id) {
            faults.push(format!("{place} repeats position {position} or id {id}"));
        }
        let kind = record.header("ce_type").to_owned();
        if record.key.parse() != Ok(expected.tenant) || kind != expected.kind {
            faults.push(format!("{place} is {kind} of {}, position {position} is {expected:?}", record.key));
        }
        let payload: Value = serde_json::from_str(&record.payload).unwrap_or_default();
        if payload["position"] != position || payload["eventId"] != id || payload["tenantId"] != record.key.as_str() {
            faults.push(format!("{place} says something else than its headers: {record:?}"));
        }
        let before = last.insert(&record.key, (partition, position));
        if before.is_some_and(|before| before.0 != partition || before.1 >= position) {
            faults.push(format!("{place} of position {position} comes after {before:?}"));
        }
    }
    let missing = billed.keys().filter(|position| !seen.contains(position));
    faults.extend(missing.map(|position| format!("position {position} is not in the topic: {:?}", billed[position])));
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(offset: i64, position: u64, tenant: u128) -> Record {
        let (id, tenant) = (Uuid::from_u128(position.into()).to_string(), Uuid::from_u128(tenant).to_string());
        let payload = json!({"eventId": id, "position": position, "tenantId": tenant}).to_string();
        let headers = [("ce_id", id), ("ce_sequence", format!("{position:020}")), ("ce_type", "tenant.deleted".into())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        Record { partition: 0, offset, key: tenant, headers, payload }
    }

    fn billed(position: u64, tenant: u128) -> (u64, Billed) {
        (position, Billed { kind: "tenant.deleted".to_owned(), tenant: Uuid::from_u128(tenant) })
    }

    #[test]
    fn what_is_lost_doubled_altered_or_out_of_order_is_named() {
        let log = BTreeMap::from([billed(3, 1), billed(4, 2), billed(7, 1)]);
        let [three, four, seven] = [record(0, 3, 1), record(1, 4, 2), record(2, 7, 1)];
        let faults = |records: &[&Record]| differences(&log, &records.iter().copied().cloned().collect::<Vec<_>>());
        assert!(faults(&[&three, &four, &seven]).is_empty());
        assert!(faults(&[&three, &seven])[0].contains("position 4 is not in the topic"));
        assert!(faults(&[&three, &four, &four, &seven])[0].contains("repeats position 4"));
        assert!(faults(&[&seven, &four, &three])[0].contains("comes after"));
        assert!(faults(&[&three, &four, &seven, &record(3, 9, 1)])[0].contains("no billing event"));
        assert!(faults(&[&record(0, 3, 2), &four, &seven])[0].contains("position 3 is"));
        let altered = Record { payload: "{}".to_owned(), ..three.clone() };
        assert!(faults(&[&altered, &four, &seven])[0].contains("something else"));
        let elsewhere = Record { partition: 1, ..seven.clone() };
        assert!(faults(&[&three, &four, &elsewhere])[0].contains("comes after"));
    }
}
