//! What Prometheus is told: every figure that alerts need, no name of anybody, and never at the cost of an answer.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor};
use tenure_test_engines::PostgresCluster;

use crate::service::{Answer, Engine, Service, Storage, eventually, on_each_engine};

/// The page's samples by name and labels, each line checked for its form.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            let name = series.split('{').next().unwrap();
            assert!(page.contains(&format!("# TYPE {}", family(name))), "{name} has no type");
            (series.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        })
        .collect()
}

fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

async fn scrape(service: &Service) -> (String, BTreeMap<String, f64>) {
    let answer = Answer::of(service.request("GET", "/metrics")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    let samples = samples(&answer.text);
    (answer.text, samples)
}

on_each_engine! {
    async fn requests_are_counted_by_route_and_nobody_is_named(service: Service) {
        let id = service.tenant("acme-corp").await;
        service.tenant("contoso").await;
        service.get(&format!("/api/v1/msp/tenants/{id}")).await.expect(200);
        service.get("/api/v1/msp/tenants/01900000-0000-7000-8000-00000000ffff").await.expect(404);
        service.get(&format!("/nothing/{id}")).await.expect(404);
        service.as_msp("BREW", "/api/v1/me").send().await.unwrap();
        let (page, samples) = scrape(&service).await;
        let requests = |route: &str, method: &str, class: &str| {
            let series = format!("tenure_http_requests_total{{route=\"{route}\",method=\"{method}\",class=\"{class}\"}}");
            samples.get(&series).copied()
        };
        assert_eq!(requests("/api/v1/msp/tenants", "POST", "2xx"), Some(2.0), "{page}");
        assert_eq!(requests("/api/v1/msp/tenants/{tenantId}", "GET", "2xx"), Some(1.0));
        assert_eq!(requests("/api/v1/msp/tenants/{tenantId}", "GET", "4xx"), Some(1.0));
        assert_eq!(requests("unmatched", "GET", "4xx"), Some(1.0));
        assert_eq!(requests("/api/v1/me", "other", "4xx"), Some(1.0));
        let post = "route=\"/api/v1/msp/tenants\",method=\"POST\"";
        assert_eq!(samples[&format!("tenure_http_request_duration_seconds_count{{{post}}}")], 2.0);
        let all = samples.iter().find(|(series, _)| series.contains(post) && series.contains("le=\"+Inf\""));
        assert_eq!(all.map(|(_, count)| *count), Some(2.0), "a histogram ends with everything:\n{page}");
        assert_eq!(samples["tenure_http_requests_in_flight"], 1.0, "the scrape itself");
        for hidden in ["acme", "contoso", "example", &id.to_string()] {
            assert!(!page.contains(hidden), "{hidden} is nobody's business:\n{page}");
        }
    }

    async fn the_log_the_gate_and_the_views_show_how_they_do(service: Service) {
        service.tenant("acme").await;
        let (page, samples) = scrape(&service).await;
        // The MSP of the first start, and the tenant: two events each.
        assert_eq!(samples["tenure_appends_total{outcome=\"committed\"}"], 2.0, "{page}");
        assert_eq!(samples["tenure_append_batch_members_count"], 2.0);
        assert_eq!(samples["tenure_append_batch_members_sum"], 2.0);
        assert!(samples["tenure_append_duration_seconds_sum"] > 0.0);
        assert_eq!(samples["tenure_append_failures_total"], 0.0);
        assert_eq!(samples["tenure_log_head_position"], 4.0);
        for lane in ["foreground", "background"] {
            assert_eq!(samples[&format!("tenure_append_queue_depth{{lane=\"{lane}\"}}")], 0.0);
        }
        for projection in ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"] {
            let of = |name: &str| samples[&format!("tenure_projection_{name}{{projection=\"{projection}\",state=\"live\"}}")];
            assert_eq!((of("position"), of("lag_events"), of("stopped")), (4.0, 0.0, 0.0), "{projection}");
        }
        assert!(samples["tenure_gate_age_seconds"] < 60.0);
        assert!(samples["process_resident_memory_bytes"] > 1e6);
        assert!(samples["process_start_time_seconds"] > 1.6e9);
        assert!(samples["process_cpu_seconds_total"] > 0.0);
    }
}

#[tokio::test]
async fn a_snapshot_that_stays_open_is_seen() {
    let storage = Storage::new(Engine::Postgres).await;
    let url = storage.database_url().unwrap().to_owned();
    let service = Service::start_with(storage, &[]);
    let mut other = sqlx::PgConnection::connect(&url).await.unwrap();
    other.execute("begin isolation level repeatable read; select count(*) from events").await.unwrap();
    for number in 0..20 {
        service.tenant(&format!("tenant-{number}")).await;
    }
    eventually("the open snapshot has grown old", async || {
        let (_, samples) = scrape(&service).await;
        samples.get("tenure_oldest_snapshot_age_transactions").is_some_and(|age| *age >= 20.0)
    })
    .await;
    other.execute("rollback").await.unwrap();
    eventually("it is forgotten", async || scrape(&service).await.1["tenure_oldest_snapshot_age_transactions"] < 20.0)
        .await;
}

#[tokio::test]
async fn a_scrape_does_not_wait_for_a_database_that_is_gone() {
    let mut cluster = tokio::task::spawn_blocking(PostgresCluster::start).await.unwrap();
    let url = cluster.url();
    let service = Service::start_with(Storage::new(Engine::Sqlite).await, &[("TENURE_DATABASE_URL", &url)]);
    service.tenant("before").await;
    cluster.kill9();
    eventually("the gate's age shows it", async || {
        let asked = Instant::now();
        let (_, samples) = scrape(&service).await;
        assert!(asked.elapsed() < Duration::from_secs(2), "no scrape waits: {:?}", asked.elapsed());
        samples["tenure_gate_age_seconds"] > 1.5
    })
    .await;
    drop(service);
    cluster.stop();
}

#[tokio::test]
async fn the_metrics_may_have_an_address_of_their_own() {
    // Free a moment ago; nobody else is told of it.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let service = Service::start_with(Storage::new(Engine::Sqlite).await, &[("TENURE_METRICS_LISTEN", &address)]);
    service.tenant("acme").await;
    Answer::of(service.request("GET", "/metrics")).await.expect_problem(404, "not-found");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = Answer::of(client.get(format!("http://{address}/metrics"))).await;
    assert_eq!(samples(&page.text)["tenure_appends_total{outcome=\"committed\"}"], 2.0);
    let api = Answer::of(client.get(format!("http://{address}/api/v1/me"))).await;
    assert_eq!(api.status, 404, "and nothing else is there");
}
