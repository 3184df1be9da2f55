//! What people would write with stock cqrs-es and postgres-es: the work of Tenure's provisioning as far as these crates
//! go, with one `GenericQuery` view. No authentication, no idempotency, no uniqueness, no sealing, no total order.
//!
//! `tenure-bench-stock DATABASE_URL` makes its tables, prints where it listens and serves until it is killed.

mod tenant;

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;

use actix_web::web::{self, Data, Json};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Context;
use cqrs_es::CqrsFramework;
use cqrs_es::persist::{GenericQuery, PersistedEventStore};
use postgres_es::{PostgresCqrs, PostgresEventRepository, PostgresViewRepository};
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use tenant::{Provision, Tenant, TenantView};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As the crates' own documentation has them, without the snapshots.
const TABLES: &str = "
    create table events (
        aggregate_type text not null,
        aggregate_id text not null,
        sequence bigint check (sequence >= 0) not null,
        event_type text not null,
        event_version text not null,
        payload json not null,
        metadata json not null,
        primary key (aggregate_type, aggregate_id, sequence)
    );
    create table tenant_view (
        view_id text not null,
        version bigint check (version >= 0) not null,
        payload json not null,
        primary key (view_id)
    )";

type View = GenericQuery<PostgresViewRepository<TenantView, Tenant>, TenantView, Tenant>;

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("usage: tenure-bench-stock DATABASE_URL")?;
    let pool = PgPoolOptions::new().max_connections(20).connect(&url).await?;
    sqlx::raw_sql(TABLES).execute(&pool).await?;
    let view: View = GenericQuery::new(Arc::new(PostgresViewRepository::new("tenant_view", pool.clone())));
    let store = PersistedEventStore::new_event_store(PostgresEventRepository::new(pool));
    let framework: Data<PostgresCqrs<Tenant>> = Data::new(CqrsFramework::new(store, vec![Box::new(view)], ()));
    let server = HttpServer::new(move || {
        App::new().app_data(framework.clone()).route("/api/v1/msp/tenants", web::post().to(provision))
    })
    .bind("127.0.0.1:0")?;
    println!("listening on http://{}", server.addrs().first().context("it is bound")?);
    std::io::stdout().flush()?;
    Ok(server.run().await?)
}

async fn provision(framework: Data<PostgresCqrs<Tenant>>, Json(command): Json<Provision>) -> HttpResponse {
    let id = Uuid::now_v7();
    let body = serde_json::json!({
        "tenantId": id, "shortCode": command.short_code, "displayName": command.display_name, "status": "active",
    });
    match framework.execute(&id.to_string(), command).await {
        Ok(()) => HttpResponse::Created().json(body),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// Nothing is refused here.
type Refusal = Infallible;
