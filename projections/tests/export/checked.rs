//! A topic held against the log: what an export wrote is clean, and a removed, a doubled and an altered record are found.

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tenure_event_log::Position;
use tenure_projections::billing::comparison::{Finding, Report};
use tenure_projections::export::{CheckError, Export, ExportSettings, Part, check};
use tenure_test_engines::shared_kafka;
use uuid::Uuid;

use super::reader::{Seen, read};
use super::{caught_up, customers, meddling, settings};
use crate::deployment::{Deployment, PATIENCE};
use crate::world::World;

on_both_engines!(what_an_export_wrote_is_clean_and_what_was_done_to_it_is_found);

/// Writes records as they are, without a transaction, each partition's in their order.
async fn write(brokers: &str, topic: &str, records: Vec<Seen>) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    for record in &records {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let new = BaseRecord::to(topic).partition(record.partition).key(record.key.as_ref().unwrap()).headers(headers);
        producer.send(new.payload(record.payload.as_ref().unwrap())).map_err(|(error, _)| error).unwrap();
    }
    tokio::task::spawn_blocking(move || producer.flush(PATIENCE)).await.unwrap().unwrap();
}

/// A topic of its own with these records.
async fn copied(brokers: &str, settings: &ExportSettings, records: Vec<Seen>) -> String {
    let topic = format!("copy.{}", Uuid::now_v7().simple());
    meddling::create(brokers, &topic, settings.partitions, &[]).await;
    write(brokers, &topic, records).await;
    topic
}

fn ids(findings: &[Finding]) -> Vec<(&'static str, String)> {
    let named = |finding: &Finding| match finding {
        Finding::Missing { event_id, .. } => ("missing", event_id.to_string()),
        Finding::Extra { event_id, .. } => ("extra", event_id.unwrap().to_string()),
        Finding::Doubled { event_id, .. } => ("doubled", event_id.to_string()),
        Finding::Altered { event_id, what, .. } => (*what, event_id.to_string()),
        Finding::Misplaced { event_id, .. } => ("misplaced", event_id.to_string()),
    };
    findings.iter().map(named).collect()
}

async fn what_an_export_wrote_is_clean_and_what_was_done_to_it_is_found(deployment: Deployment) {
    let Some(brokers) = shared_kafka() else { return };
    let settings = settings(&brokers);
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let checked = async |topic: &str| check(&settings, &views, topic, Part::default()).await;
    assert!(matches!(checked(&settings.topic).await, Err(CheckError::NoTopic { .. })));

    // More records than are looked up at once.
    let export = Export::start(settings.clone(), &views);
    for tenant in customers(&mut world, 8).await {
        world.toggle(tenant, 100).await;
    }
    caught_up(&export, &world).await;
    let live = checked(&settings.topic).await.unwrap();
    let clean = Report { records: 1_608, events: 1_608, ..Report::default() };
    assert_eq!((live.report, live.since), (clean.clone(), Position::START));

    let exported = read(&brokers, &settings.topic).await;
    let whole = copied(&brokers, &settings, exported.clone()).await;
    assert_eq!(checked(&whole).await.unwrap().report, clean, "an exact copy");
    let id = |index: usize| exported[index].header("ce_id").to_owned();
    let done_to_it = async |change: &dyn Fn(&mut Vec<Seen>)| {
        let mut records = exported.clone();
        change(&mut records);
        let topic = copied(&brokers, &settings, records).await;
        let report = checked(&topic).await.unwrap().report;
        assert_eq!(report.events, 1_608);
        ids(&report.findings)
    };
    assert_eq!(done_to_it(&|records| drop(records.remove(700))).await, [("missing", id(700))]);
    assert_eq!(done_to_it(&|records| records.insert(900, records[700].clone())).await, [("doubled", id(700))]);
    let alter = |record: &mut Seen| {
        let payload = String::from_utf8(record.payload.take().unwrap()).unwrap();
        record.payload = Some(payload.replacen("\"shortCode\":\"t", "\"shortCode\":\"x", 1).into_bytes());
    };
    assert_eq!(done_to_it(&|records| alter(&mut records[700])).await, [("payload", id(700))]);
    let stranger = Uuid::now_v7().to_string();
    let invent = |records: &mut Vec<Seen>| {
        let mut invented = records[0].clone();
        for (name, value) in &mut invented.headers {
            match name.as_str() {
                "ce_id" => value.clone_from(&stranger),
                // The MSP's own provisioning, which nobody is billed for.
                "ce_sequence" => *value = format!("{:020}", 1),
                _ => {}
            }
        }
        records.push(invented);
    };
    assert_eq!(done_to_it(&invent).await, [("extra", stranger.clone())]);

    // In the live topic itself: written a second time, past the export.
    write(&brokers, &settings.topic, vec![exported[700].clone()]).await;
    assert_eq!(ids(&checked(&settings.topic).await.unwrap().report.findings), [("doubled", id(700))]);
    export.shutdown().await;
}
