//! The migrations, and whether a database has those that this release needs.

use std::collections::HashSet;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection, PgPool};

use super::error;
use crate::OpenError;

/// The highest `log_meta.schema_level` that this release can work with.
const SCHEMA_LEVEL: i64 = 1;
const OLDEST_SERVER: i32 = 150_000;

/// A newer release may have applied more than this one knows of, while the two take turns in a rolling deploy.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations/postgres");
    migrator.set_ignore_missing(true);
    migrator
}

/// Applies the migrations that the database lacks; several instances may do so at once.
pub(crate) async fn migrate(url: &str) -> Result<(), OpenError> {
    let unavailable = |error: sqlx::Error| OpenError::Unavailable(error.into());
    let mut connection = super::servers(url)?.connect(super::named).await.map_err(unavailable)?;
    let migrated = migrator().run_direct(&mut connection).await;
    let closed = connection.close().await.map_err(unavailable);
    match migrated {
        Ok(()) => closed,
        Err(MigrateError::Execute(error @ sqlx::Error::Io(_))) => Err(unavailable(error)),
        Err(error) => Err(OpenError::Migration(error.into())),
    }
}

/// Refuses a server that is too old and a schema that is behind, or too far ahead.
pub(super) async fn check(pool: &PgPool) -> Result<(), OpenError> {
    let server: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
        .fetch_one(pool)
        .await
        .map_err(error::reading)?;
    if server < OLDEST_SERVER {
        let reason = format!("PostgreSQL 15 or later is needed, this server is {}", server / 10_000);
        return Err(OpenError::Misconfigured { reason });
    }
    let migrated: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(pool)
        .await
        .map_err(error::reading)?;
    if !migrated {
        return Err(OpenError::SchemaMissing);
    }
    let applied: Vec<i64> = sqlx::query_scalar("select version from _sqlx_migrations where success")
        .fetch_all(pool)
        .await
        .map_err(error::reading)?;
    let applied: HashSet<i64> = applied.into_iter().collect();
    if migrator().iter().any(|migration| !applied.contains(&migration.version)) {
        return Err(OpenError::SchemaMissing);
    }
    let found: i64 =
        sqlx::query_scalar("select schema_level from log_meta").fetch_one(pool).await.map_err(error::reading)?;
    if found > SCHEMA_LEVEL {
        return Err(OpenError::SchemaNewer { found, known: SCHEMA_LEVEL });
    }
    Ok(())
}
