//! docs/RUNBOOK.md names what exists: metrics, and the sections that the service's own sentences send people to.

use std::collections::BTreeSet;

use tenure_projections::export::Doubt;

use crate::service::{Answer, Engine, Service, Storage};

const RUNBOOK: &str = include_str!("../docs/RUNBOOK.md");

/// The metrics that are mentioned.
fn mentioned() -> BTreeSet<&'static str> {
    RUNBOOK
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("process_") || (word.starts_with("tenure_") && *word != "tenure_restored"))
        .collect()
}

#[tokio::test]
async fn every_metric_that_is_mentioned_is_on_the_page() {
    // The engine that has all of them, and an export, though nobody listens there.
    let export = [("TENURE_KAFKA_BROKERS", "127.0.0.1:1")];
    let service = Service::start_with(Storage::new(Engine::Postgres).await, &export);
    service.tenant("acme").await;
    let page = Answer::of(service.request("GET", "/metrics")).await.text;
    let mentioned = mentioned();
    assert!(mentioned.len() > 8, "{mentioned:?}");
    for name in mentioned {
        let family = name.strip_suffix("_bucket").unwrap_or(name);
        assert!(page.contains(&format!("# TYPE {family} ")), "{name} is not on the page:\n{page}");
    }
}

#[test]
fn the_sections_that_people_are_sent_to_are_there() {
    let sections = [
        "Backup",
        "Restore",
        "A projection stands still",
        "The billing export stopped",
        "Never cancel a writer's backend",
        "Failover",
    ];
    for section in sections {
        assert!(RUNBOOK.contains(&format!("\n## {section}\n")), "{section}");
    }
}

#[test]
fn every_reason_to_stop_the_export_has_its_line() {
    let doubts = [
        (Doubt::ProgressLost { copy: 7 }, "the progress topic has no record, but position"),
        (Doubt::ProgressUnreadable { offset: 7 }, "is not a progress record"),
        (Doubt::ProgressUnknown, "the billing topic has records, but no progress is recorded"),
        (Doubt::ProgressBehind { progress: 6, copy: 7 }, "the progress topic says position"),
        (Doubt::TopicAbsent, "the billing topic is gone"),
        (Doubt::TopicEmpty, "the billing topic is empty"),
        (
            Doubt::RecordMissing { partition: 3, offset: 12, position: 9 },
            "the billing topic does not have the event of position",
        ),
        (Doubt::PartitionsChanged { before: 6, now: 12 }, "partitions and had"),
        (Doubt::OtherTopic { before: "v1".to_owned() }, "the progress is that of another billing topic"),
        (Doubt::OtherLog, "the progress is that of another log"),
        (Doubt::PastTheHead { progress: 7, head: 6 }, "was exported, but the log ends at"),
        (Doubt::OtherEvent { position: 7 }, "the log has another event at position"),
    ];
    for (doubt, words) in doubts {
        assert!(doubt.to_string().contains(words), "{doubt}");
        let line = RUNBOOK.lines().find(|line| line.starts_with("| ") && line.contains(words));
        let advice = line.and_then(|line| line.split(" | ").nth(2));
        assert!(advice.is_some_and(|advice| advice.len() > 8), "{doubt}: {line:?}");
    }
}
