//! docs/RUNBOOK.md names what exists: metrics, and the sections that the service's own sentences send people to.

use std::collections::BTreeSet;

use crate::service::{Answer, Engine, Service};

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
    // The engine that has all of them.
    let service = Service::start(Engine::Postgres).await;
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
    for section in ["Backup", "Restore", "A projection stands still", "The billing export stands still"] {
        assert!(RUNBOOK.contains(&format!("\n## {section}\n")), "{section}");
    }
}
