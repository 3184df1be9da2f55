//! What must hold on a PostgreSQL whose defaults, or whose other users, would have it otherwise.

use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use postgres_es::PostgresEventRepository;
use secrecy::ExposeSecret;
use sqlx::{Executor, PgPool};
use tenure_event_log::{Append, Lane};
use tenure_test_engines::rows_read;
use uuid::Uuid;

use crate::bench::{Bench, append, everything};
use crate::facts::{self, Thing, at, claim, request, seats};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_is_flushed_whatever_the_defaults_are() {
    let bench = Bench::postgres().await;
    let mut connection = bench.connect().await;
    // A role's default for one database beats the server's and the database's own.
    connection
        .execute(
            "do $$ begin
                 execute format('alter database %I set synchronous_commit = off', current_database());
                 execute format('alter role %I in database %I set synchronous_commit = off', current_user,
                     current_database());
             end $$;
             create table settings (value text);
             create function note_setting() returns trigger language plpgsql as $$ begin
                 insert into settings values (current_setting('synchronous_commit'));
                 return null;
             end $$;
             create trigger note_setting after insert on events for each row execute function note_setting()",
        )
        .await
        .unwrap();
    let mut others = bench.connect().await;
    let default: String = sqlx::query_scalar("show synchronous_commit").fetch_one(&mut others).await.unwrap();
    assert_eq!(default, "off");

    let log = bench.log().await;
    append(&log, facts::anything()).await;
    append(&log, facts::anything()).await;
    let used: Vec<String> = sqlx::query_scalar("select value from settings").fetch_all(&mut others).await.unwrap();
    assert_eq!(used, ["on", "on"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_past_the_log() {
    let bench = Bench::postgres().await;
    let log = bench.log().await;
    let stream = facts::stream();
    append(&log, facts::to_stream(&stream, 0)).await;
    let loaded = log.load::<Thing>(&stream.aggregate_id).await.unwrap();
    // The library's own way of writing knows no position.
    let next = SerializedEvent { sequence: 2, ..loaded[0].clone() };
    let pool = PgPool::connect(bench.url().expose_secret()).await.unwrap();
    let repository = PostgresEventRepository::new(pool.clone());
    let refused = repository.persist::<Thing>(&[next], None).await.unwrap_err();
    assert!(refused.to_string().contains("position"), "{refused}");
    pool.close().await;
    assert_eq!(everything(&log).await.len(), 1);
    append(&log, facts::to_stream(&stream, 1)).await;
}

/// A NOTIFY in an append holds a lock that spans the server until after the flush, and an insert that leaves out what is there
/// already loses an event without a word. Looked for in the functions that are installed, whichever migrations made them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_function_notifies_or_leaves_out_events_silently() {
    let bench = Bench::postgres().await;
    append(&bench.log().await, facts::anything()).await;
    let mut connection = bench.connect().await;
    let functions: Vec<(String, String)> = sqlx::query_as(
        r"select proname::text, lower(regexp_replace(regexp_replace(prosrc, '--[^\n]*', '', 'g'), '\s+', ' ', 'g'))
         from pg_proc where pronamespace = current_schema()::regnamespace",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(functions.iter().any(|(name, _)| name == "append_batch"), "{functions:?}");
    for (name, source) in functions {
        assert!(!source.contains("notify"), "{name} notifies");
        for insert in source.split("insert into events").skip(1) {
            let statement = insert.split(';').next().unwrap_or_default();
            assert!(!statement.contains("on conflict"), "{name} leaves out events: {statement}");
        }
    }
    let triggers: i64 = sqlx::query_scalar("select count(*) from pg_trigger where not tgisinternal")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(triggers, 0, "nothing else runs in an append");
}

/// Statements are planned while the log is small, and must not scan what has grown since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_reads_no_more_rows_as_the_log_grows() {
    const ROUNDS: i64 = 300;
    let bench = Bench::postgres().await;
    let log = bench.log().await;
    let guard = facts::stream();
    append(&log, facts::to_stream(&guard, 0)).await;
    for number in 0..ROUNDS {
        let name = number.to_string();
        let stream = facts::stream();
        let tenant_id = Uuid::now_v7();
        append(&log, facts::of_tenant(tenant_id, &stream, 0, vec![facts::personal_event()])).await;
        let more = facts::of_tenant(tenant_id, &stream, 1, vec![facts::personal_event()]);
        let idempotency = Some(request(&name, &more));
        let unchanged = vec![at(&guard, 1)];
        let claims = vec![claim(&name, "owner")];
        let limits = vec![seats(&name, 1, Some(2))];
        append(&log, Append { unchanged, claims: claims.clone(), limits, idempotency, ..more }).await;
        let mut released = facts::anything();
        released.releases = claims;
        released.limits = vec![seats(&name, -1, None)];
        released.erase_tenants = vec![tenant_id];
        append(&log, released).await;
        let mut refused = facts::to_stream(&guard, 0);
        refused.unchanged = vec![at(&stream, 2)];
        log.append(refused, Lane::Foreground).await.unwrap_err();
        if [2, 10, 30, 60, 100].contains(&number) {
            // As the server does by itself now and then: whatever is planned next is planned for small tables.
            bench.connect().await.execute("analyze").await.unwrap();
        }
    }
    log.shutdown().await;

    let read = rows_read(bench.url().expose_secret(), "public").await;
    assert!(read.iter().any(|(table, rows)| table == "events" && *rows > ROUNDS), "{read:?}");
    assert!(read.iter().all(|(_, rows)| rows / ROUNDS < 40), "rows read in {ROUNDS} rounds of four appends: {read:?}");
}
