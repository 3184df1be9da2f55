//! `tenure billing replay`: billing events once more, on real brokers, beside a running service.

use std::process::Output;

use serde_json::{Value, json};
use tenure_campaign::topic::{self, Record};
use tenure_test_engines::shared_kafka;
use uuid::Uuid;

use crate::service::process::tenure;
use crate::service::{Answer, Engine, ServiceProcess, Storage, eventually, for_each_engine};

/// A service that exports to topics of its own on the shared broker.
struct Exporting {
    storage: Storage,
    service: Option<ServiceProcess>,
    brokers: String,
    /// Begins every topic's name.
    name: String,
}

impl Exporting {
    /// None where the run goes without Kafka.
    async fn start(engine: Engine) -> Option<Self> {
        let brokers = shared_kafka()?;
        let (storage, name) = (Storage::new(engine).await, format!("replay-{}", Uuid::now_v7()));
        let mut exporting = Self { storage, service: None, brokers, name };
        exporting.service = Some(ServiceProcess::start(&exporting.storage, &pairs(&exporting.settings())));
        Some(exporting)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("TENURE_KAFKA_BROKERS", self.brokers.clone()),
            ("TENURE_KAFKA_TOPIC", self.topic("live")),
            ("TENURE_KAFKA_PROGRESS_TOPIC", self.topic("progress")),
            ("TENURE_KAFKA_PARTITIONS", "3".to_owned()),
            ("TENURE_CELL", self.name.clone()),
        ]
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// Runs `tenure billing replay` with the service's settings and these.
    fn replay(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        self.billing("replay", arguments, settings)
    }

    fn billing(&self, what: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        let own = self.settings();
        let mut command = tenure(&self.storage, &pairs(&own));
        command.envs(settings.iter().copied()).args(["billing", what]).args(arguments).output().unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let service = self.service.as_ref().unwrap();
        let url = format!("{}/api/v1/msp/tenants{path}", service.url);
        let request = reqwest::Client::builder().no_proxy().build().unwrap().post(url);
        let answer = Answer::of(request.bearer_auth(&service.token).json(&body)).await;
        assert!(answer.status < 300, "{}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }

    /// Three tenants, each suspended and reinstated twice; their ids.
    async fn fifteen_events(&self) -> Vec<String> {
        let mut tenants = Vec::new();
        for code in ["acme", "contoso", "fabrikam"] {
            let body = json!({"shortCode": code, "displayName": code, "contactEmail": format!("it@{code}.example")});
            tenants.push(self.post("", body).await["tenantId"].as_str().unwrap().to_owned());
        }
        for verb in ["suspend", "reinstate", "suspend", "reinstate"] {
            for tenant in &tenants {
                self.post(&format!("/{tenant}/{verb}"), json!({})).await;
            }
        }
        eventually("every event is exported", async || {
            topic::partitions(&self.brokers, &self.topic("live")).unwrap().is_some()
                && self.records("live").await.len() == 15
        })
        .await;
        tenants
    }

    async fn records(&self, name: &str) -> Vec<Record> {
        let (brokers, topic) = (self.brokers.clone(), self.topic(name));
        tokio::task::spawn_blocking(move || topic::read(&brokers, &topic).unwrap()).await.unwrap()
    }
}

fn pairs<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The mark that a run says it has used.
fn mark(printed: &str) -> &str {
    printed.trim().rsplit_once("ce_replayid=").unwrap().1.trim_end_matches('.')
}

/// A record without what tells a copy from the original.
fn without_mark(record: &Record) -> (i32, String, Vec<(String, String)>, String) {
    let headers = record.headers.clone().into_iter().filter(|(name, _)| name != "ce_replayid").collect();
    (record.partition, record.key.clone(), headers, record.payload.clone())
}

async fn a_replay_copies_what_was_exported_and_marks_it(engine: Engine) {
    let Some(mut exporting) = Exporting::start(engine).await else { return };
    exporting.fifteen_events().await;
    let live = exporting.records("live").await;

    let target = exporting.topic("copies");
    let said = printed(&exporting.replay(&["--from", "1", "--to", "1000000", "--topic", &target], &[]));
    assert!(said.contains("15 records are written and acknowledged"), "{said}");
    let copied = exporting.records("copies").await;
    assert_eq!(topic::partitions(&exporting.brokers, &target).unwrap(), Some(3), "made like the live one");
    assert!(copied.iter().all(|record| record.header("ce_replayid") == mark(&said)));
    assert!(live.iter().all(|record| record.header("ce_replayid").is_empty()));
    // In each partition, and so for each tenant, in the same order.
    assert_eq!(copied.iter().map(without_mark).collect::<Vec<_>>(), live.iter().map(without_mark).collect::<Vec<_>>());

    // Also without the service, into the same topic, under another mark.
    exporting.service.take().unwrap().terminate();
    let again = printed(&exporting.replay(&["--from", "1", "--to", "1000000", "--topic", &target], &[]));
    assert_ne!(mark(&again), mark(&said));
    let both = exporting.records("copies").await;
    assert_eq!(both.iter().filter(|record| record.header("ce_replayid") == mark(&again)).count(), 15);
    assert_eq!((both.len(), exporting.records("live").await), (30, live));
}

async fn a_replay_takes_days_moments_positions_and_a_tenant(engine: Engine) {
    let Some(exporting) = Exporting::start(engine).await else { return };
    let tenants = exporting.fifteen_events().await;
    let mut live = exporting.records("live").await;
    live.sort_by(|one, other| one.header("ce_sequence").cmp(other.header("ce_sequence")));
    let position = |index: usize| live[index].header("ce_sequence").trim_start_matches('0').to_owned();
    let target = exporting.topic("copies");
    let copied = async |arguments: &[&str]| {
        let said = printed(&exporting.replay(&[arguments, &["--topic", &target]].concat(), &[]));
        let mut records = exporting.records("copies").await;
        records.retain(|record| record.header("ce_replayid") == mark(&said));
        records.sort_by(|one, other| one.header("ce_sequence").cmp(other.header("ce_sequence")));
        records.iter().map(|record| record.header("ce_id").to_owned()).collect::<Vec<_>>()
    };
    let ids = |records: &[Record]| records.iter().map(|record| record.header("ce_id").to_owned()).collect::<Vec<_>>();

    assert_eq!(copied(&["--from", &position(2), "--to", &position(6)]).await, ids(&live[2..=6]), "both ends included");
    let of_tenant: Vec<_> = live.iter().filter(|record| record.key == tenants[1]).cloned().collect();
    assert_eq!(copied(&["--from", "1", "--to", &position(14), "--tenant", &tenants[1]]).await, ids(&of_tenant));
    let time = |index: usize| live[index].header("ce_time").to_owned();
    assert_eq!(copied(&["--from", &time(4), "--to", &time(9)]).await, ids(&live[4..=9]));
    let days = [time(0)[..10].to_owned(), time(14)[..10].to_owned()];
    assert_eq!(copied(&["--from", &days[0], "--to", &days[1]]).await, ids(&live));
    assert_eq!(copied(&["--from", &position(12), "--to", &days[1]]).await, ids(&live[12..]), "of both kinds");
    assert_eq!(copied(&["--from", "2001-01-01", "--to", "2001-12-31"]).await, ids(&[]));

    let everything = ["--from", &days[0], "--to", &days[1], "--dry-run"];
    let said = printed(&exporting.replay(&[&everything[..], &["--topic", &exporting.topic("nothing")]].concat(), &[]));
    for (name, count) in [("tenant.provisioned", 3), ("tenant.suspended", 6), ("tenant.reinstated", 6), ("total", 15)] {
        let found = said.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(found.ends_with(&format!(" {count}")), "{found}");
    }
    assert!(said.ends_with("Nothing was written.\n"), "{said}");
    assert_eq!(topic::partitions(&exporting.brokers, &exporting.topic("nothing")).unwrap(), None);
    printed(&exporting.replay(&everything, &[("TENURE_KAFKA_BROKERS", "localhost:1")]));

    for (from, to) in [("5", "4"), ("2026-04-02", "2026-04-01")] {
        let said = refused(&exporting.replay(&["--from", from, "--to", to, "--topic", &target], &[]));
        assert!(said.contains("--from must not be later than --to"), "{said}");
    }
    for wrong in [&["--from", "yesterday", "--to", "5"][..], &["--from", "1", "--to", "5"], &["--from", "1"]] {
        assert_eq!(exporting.replay(wrong, &[]).status.code(), Some(2), "{wrong:?}");
    }
}

async fn a_replay_never_goes_where_live_events_are(engine: Engine) {
    let Some(exporting) = Exporting::start(engine).await else { return };
    exporting.fifteen_events().await;
    let live = exporting.records("live").await;
    let other = Exporting {
        storage: Storage::new(engine).await,
        service: None,
        brokers: exporting.brokers.clone(),
        name: format!("{}-other", exporting.name),
    };
    drop(ServiceProcess::start(&other.storage, &[]));

    let elsewhere = exporting.topic("elsewhere");
    let unaware = [("TENURE_KAFKA_TOPIC", elsewhere.as_str()), ("TENURE_KAFKA_PROGRESS_TOPIC", "nowhere")];
    let into = |exporting: &Exporting, topic: &str, settings: &[(&str, &str)]| {
        refused(&exporting.replay(&["--from", "1", "--to", "1000000", "--topic", topic], settings))
    };
    let (billing, progress) = (exporting.topic("live"), exporting.topic("progress"));
    for (said, why) in [
        (into(&exporting, &billing, &[]), "is the live billing topic:"),
        (into(&exporting, &progress, &[]), "is the export's progress topic:"),
        // The command has other settings than the service that runs.
        (into(&exporting, &billing, &unaware), "is the live billing topic of the running export:"),
        (into(&exporting, &progress, &unaware), "is compacted"),
        // And knows nothing of that service at all.
        (into(&other, &billing, &[]), "is a topic that billing events were exported to live:"),
    ] {
        assert!(said.contains(why) && said.lines().count() == 1, "{said}");
    }
    assert_eq!(exporting.records("live").await, live);

    let target = exporting.topic("copies");
    let said = into(&exporting, &target, &[("TENURE_KAFKA_BROKERS", "localhost:1")]);
    assert!(said.contains("can't be looked at or made"), "{said}");
}

async fn a_replay_of_one_tenant_is_held_against_its_events_alone(engine: Engine) {
    let Some(exporting) = Exporting::start(engine).await else { return };
    let tenants = exporting.fifteen_events().await;
    let target = exporting.topic("copies");
    let arguments = ["--from", "1", "--to", "1000000", "--topic", &target, "--tenant", &tenants[1]];
    printed(&exporting.replay(&arguments, &[]));
    let reconcile = |arguments: &[&str]| exporting.billing("reconcile", arguments, &[]);
    let everybody = reconcile(&["--topic", &target]);
    assert_eq!(everybody.status.code(), Some(1));
    assert!(String::from_utf8(everybody.stdout).unwrap().contains("5 records, 15 events"));
    let said = printed(&reconcile(&["--topic", &target, "--tenant", &tenants[1]]));
    assert!(said.starts_with(&format!("{target}: 5 records, 5 events")), "{said}");
    let another = reconcile(&["--topic", &target, "--tenant", &tenants[0]]);
    assert!(String::from_utf8(another.stdout).unwrap().contains("0 records, 5 events"));
    assert_eq!(reconcile(&["--tenant", &tenants[1]]).status.code(), Some(2), "only with --topic");
}

/// As the runbook has it for more partitions: the copies first, then the export behind them.
async fn a_topic_that_began_as_a_replay_holds_what_the_log_says(engine: Engine) {
    let Some(mut exporting) = Exporting::start(engine).await else { return };
    let tenants = exporting.fifteen_events().await;
    let live = exporting.records("live").await;
    let last = live.iter().map(|record| record.header("ce_sequence")).max().unwrap().trim_start_matches('0').to_owned();
    let next = exporting.topic("next");
    printed(&exporting.replay(&["--from", "1", "--to", &last, "--topic", &next], &[("TENURE_KAFKA_PARTITIONS", "5")]));

    exporting.service.take().unwrap().terminate();
    let moved = [("TENURE_KAFKA_TOPIC", next.as_str()), ("TENURE_KAFKA_PARTITIONS", "5")];
    let own = exporting.settings();
    exporting.service = Some(ServiceProcess::start(&exporting.storage, &[&pairs(&own)[..], &moved].concat()));
    printed(&exporting.billing("resume", &["--from", &last], &moved));
    exporting.post(&format!("/{}/suspend", tenants[0]), json!({})).await;
    let said = || exporting.billing("reconcile", &["--topic"], &moved);
    eventually("all is there", async || {
        String::from_utf8_lossy(&said().stdout).starts_with(&format!("{next}: 16 records, 16 events"))
    })
    .await;
    let said = said();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    assert_eq!(topic::partitions(&exporting.brokers, &next).unwrap(), Some(5));
}

for_each_engine! {
    a_replay_of_one_tenant_is_held_against_its_events_alone
    a_topic_that_began_as_a_replay_holds_what_the_log_says
    a_replay_copies_what_was_exported_and_marks_it
    a_replay_takes_days_moments_positions_and_a_tenant
    a_replay_never_goes_where_live_events_are
}
