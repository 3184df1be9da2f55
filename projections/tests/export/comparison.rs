//! What the whole export is for: the topic holds exactly the log's billing events, each once, each tenant's in order.

use std::collections::{BTreeMap, BTreeSet};

use tenure_aggregates::{TenantId, TenantKind};
use tenure_event_log::Position;
use tenure_projections::billing::{BillingEvent, BillingFilter, BillingScope, document, page};
use tenure_projections::export::ExportSettings;
use tenure_projections::{Views, tenants};

use super::partitions::partition;
use super::reader::{Seen, read};
use crate::deployment::eventually;

const PAGE: u32 = 1_000;

/// Every billing event of the log, of all its MSPs, in its order. The views have passed what is wanted.
pub async fn of_the_log(views: &Views) -> Vec<BillingEvent> {
    let stages = tenants::stages(views).await.unwrap();
    let mut events = Vec::new();
    for msp in stages.tenants.iter().filter(|tenant| tenant.kind == TenantKind::Msp) {
        let mut place = Position::START;
        loop {
            let scope = BillingScope::Msp(msp.tenant_id);
            let next = page(views, scope, &BillingFilter::default(), place, PAGE).await.unwrap();
            let Some(last) = next.last() else { break };
            place = last.position;
            events.extend(next);
        }
    }
    events.sort_by_key(|event| event.position);
    events
}

/// Resolves when readers see as many records as the log has events. An export does not wait for that: what a broker that died
/// does not show is noticed after a while, taken back and sent again.
pub async fn shown(views: &Views, settings: &ExportSettings, brokers: &str) {
    let expected = of_the_log(views).await.len();
    let is_there = async || (read(brokers, &settings.topic).await.len() >= expected).then_some(());
    eventually("readers see every event", is_there).await;
}

/// Fails unless the topic is what it should be; prints what was compared and answers how many events there are.
pub async fn assert_exported(views: &Views, settings: &ExportSettings, brokers: &str) -> usize {
    let expected = of_the_log(views).await;
    let seen = read(brokers, &settings.topic).await;
    assert_each_once(&expected, &seen);
    let by_id: BTreeMap<String, &BillingEvent> =
        expected.iter().map(|event| (event.event_id.to_string(), event)).collect();
    for record in &seen {
        assert_carries(record, by_id[record.header("ce_id")], settings);
    }
    assert_in_order(&seen);
    let tenants: BTreeSet<TenantId> = expected.iter().map(|event| event.tenant_id).collect();
    let partitions: BTreeSet<i32> = seen.iter().map(|record| record.partition).collect();
    println!(
        "{}: {} billing events in the log, {} in the topic; {} tenants, {} partitions; none lost, doubled or reordered",
        settings.cell,
        expected.len(),
        seen.len(),
        tenants.len(),
        partitions.len(),
    );
    seen.len()
}

fn assert_each_once(expected: &[BillingEvent], seen: &[Seen]) {
    let wanted: BTreeSet<String> = expected.iter().map(|event| event.event_id.to_string()).collect();
    let mut found = BTreeSet::new();
    let doubled: Vec<_> = seen.iter().map(|record| record.header("ce_id")).filter(|id| !found.insert(*id)).collect();
    let lost = wanted.iter().filter(|id| !found.contains(id.as_str())).count();
    let foreign = found.iter().filter(|id| !wanted.contains(**id)).count();
    assert!(
        doubled.is_empty() && lost == 0 && foreign == 0,
        "of {} events {lost} are lost and {} doubled; {foreign} are not the log's",
        wanted.len(),
        doubled.len(),
    );
}

fn assert_carries(record: &Seen, event: &BillingEvent, settings: &ExportSettings) {
    let tenant = event.tenant_id.to_string();
    let headers = [
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event.event_id.to_string()),
        ("ce_source", format!("urn:tenure:cell:{}", settings.cell)),
        ("ce_type", event.event_type.clone()),
        ("ce_subject", tenant.clone()),
        ("ce_time", document::occurred_utc(event)),
        ("ce_sequence", format!("{:020}", event.position.get())),
        ("ce_dataschema", format!("https://tenure.example/schemas/billing/{}.v1.json", event.event_type)),
        ("content-type", "application/json".to_owned()),
    ];
    assert_eq!(record.headers, headers.map(|(key, value)| (key.to_owned(), value)));
    assert_eq!(record.key.as_ref(), Some(&tenant));
    assert_eq!(record.partition, partition(&tenant, settings.partitions), "as the Java client puts {tenant}");
    let mut expected = Vec::new();
    document::write(event, &mut expected).unwrap();
    assert_eq!(record.payload.as_deref(), Some(expected.as_slice()), "what the API says");
}

/// The log's order within each partition, and so within each tenant.
fn assert_in_order(seen: &[Seen]) {
    for pair in seen.windows(2).filter(|pair| pair[0].partition == pair[1].partition) {
        assert!(pair[0].header("ce_sequence") < pair[1].header("ce_sequence"), "out of order: {pair:?}");
    }
}
