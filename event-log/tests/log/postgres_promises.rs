//! What must hold on a PostgreSQL whose defaults, or whose other users, would have it otherwise.

use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use postgres_es::PostgresEventRepository;
use secrecy::ExposeSecret;
use sqlx::{Executor, PgPool};

use crate::bench::{Bench, append, everything};
use crate::facts::{self, Thing};

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
