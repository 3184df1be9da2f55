//! A whole service for one test: in this process, on its own database, on a free port, stopped with the value.

mod answer;
pub mod collector;
pub mod name_server;
pub mod process;

use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tempfile::TempDir;
use tenure::application::Application;
use tenure::config::Config;
use tenure::identity::{DevelopmentKey, Role, TokenRequest};
use tenure_aggregates::TenantId;
use tenure_aggregates::values::Groups;
use tenure_test_engines::TestDatabase;
use tokio::sync::oneshot;

pub use answer::Answer;
pub use process::ServiceProcess;

/// The engine that a service stands on.
#[derive(Clone, Copy, Debug)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Runs each test on both engines.
macro_rules! on_each_engine {
    ($($(#[$attribute:meta])* async fn $name:ident($service:ident: Service) $body:block)*) => {
        mod sqlite {
            use super::*;
            $(
                #[tokio::test]
                $(#[$attribute])*
                async fn $name() {
                    let $service = Service::start($crate::service::Engine::Sqlite).await;
                    $body
                }
            )*
        }
        mod postgres {
            use super::*;
            $(
                #[tokio::test]
                $(#[$attribute])*
                async fn $name() {
                    let $service = Service::start($crate::service::Engine::Postgres).await;
                    $body
                }
            )*
        }
    };
}
pub(crate) use on_each_engine;

/// Makes each function, which takes the engine that it starts its service on, a test on both.
macro_rules! for_each_engine {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name($crate::service::Engine::Sqlite).await })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name($crate::service::Engine::Postgres).await })*
        }
    };
}
pub(crate) use for_each_engine;

/// What outlives a restart: the data directory and the database.
pub struct Storage {
    pub directory: TempDir,
    database_url: Option<String>,
    /// Goes with the storage, if it was made for it.
    _database: Option<TestDatabase>,
}

impl Storage {
    pub async fn new(engine: Engine) -> Self {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(TestDatabase::create().await),
        };
        let database_url = database.as_ref().map(|database| database.url().to_owned());
        Self { directory: data_directory(), database_url, _database: database }
    }

    /// On a database that somebody else made.
    pub fn at(database_url: String) -> Self {
        Self { directory: data_directory(), database_url: Some(database_url), _database: None }
    }

    /// The environment of a service that stands on this storage.
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("TENURE_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("TENURE_DATA_DIR".to_owned(), self.directory.path().join("data").display().to_string()),
            ("TENURE_LOG".to_owned(), "warn".to_owned()),
        ];
        if let Some(url) = &self.database_url {
            variables.push(("TENURE_DATABASE_URL".to_owned(), url.clone()));
        }
        variables
    }

    pub fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref()
    }
}

fn data_directory() -> TempDir {
    tempfile::Builder::new().prefix("tenure-").tempdir().unwrap()
}

/// A running service and a client of it.
pub struct Service {
    pub url: String,
    pub config: Config,
    client: reqwest::Client,
    token: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    storage: Option<Arc<Storage>>,
}

impl Service {
    /// A service with the default settings.
    pub async fn start(engine: Engine) -> Self {
        Self::start_with(Storage::new(engine).await, &[])
    }

    /// A service on this storage, with these settings besides the defaults, for example `TENURE_CLOCK_OFFSET`.
    pub fn start_with(storage: impl Into<Arc<Storage>>, settings: &[(&str, &str)]) -> Self {
        let storage = storage.into();
        let mut variables = storage.variables();
        variables.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        // A later setting replaces an earlier one of the same name.
        let variables: std::collections::BTreeMap<_, _> = variables.into_iter().collect();
        let file = variables.get("TENURE_CONFIG").map(std::path::PathBuf::from);
        let config = Config::read(file.as_deref(), variables).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (address, started) = mpsc::channel();
        let thread = thread::spawn({
            let config = config.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let application = Application::build(&config).await.unwrap();
                    address.send(application.address()).unwrap();
                    application.run(async { drop(stopped.await) }).await.unwrap();
                });
            }
        });
        let address = started.recv().expect("the service starts");
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let client = reqwest::Client::builder()
            .no_proxy()
            .danger_accept_invalid_certs(true)
            .timeout(std::time::Duration::from_mins(1))
            .build()
            .unwrap();
        let mut service = Self {
            url: format!("{scheme}://{address}"),
            config,
            client,
            token: String::new(),
            stop: Some(stop),
            thread: Some(thread),
            storage: Some(storage),
        };
        service.token = service.token_of(Role::MspAdmin, service.config.default_msp().id);
        service
    }

    /// Stops the service in order; its storage stays.
    pub fn stop(mut self) -> Arc<Storage> {
        self.end();
        self.storage.take().unwrap()
    }

    /// What it stands on.
    pub const fn storage(&self) -> &Arc<Storage> {
        self.storage.as_ref().unwrap()
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have stopped by itself, which the thread's result tells.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !thread::panicking() {
                result.unwrap();
            }
        }
    }

    /// A token signed with the service's development key.
    pub fn token_of(&self, role: Role, tenant: TenantId) -> String {
        let key = DevelopmentKey::load_or_create(&self.config.development_key_path()).unwrap();
        let now = self.config.clock().now();
        let groups = Groups::default();
        key.sign(&TokenRequest { role, tenant, subject: None, groups, now, expires_in: TimeDelta::hours(1) })
    }

    /// The token of the first MSP's administrator.
    pub fn msp_token(&self) -> &str {
        &self.token
    }

    /// A request to `path` without a token.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    /// A request to `path` by the MSP's administrator.
    pub fn as_msp(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request(method, path).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.as_msp("GET", path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.as_msp("POST", path).json(body)).await
    }

    pub async fn post_nothing(&self, path: &str) -> Answer {
        Answer::of(self.as_msp("POST", path)).await
    }

    /// Provisions a tenant with this short code; the answer's body.
    pub async fn provision(&self, short_code: &str) -> Value {
        let body = json!({
            "shortCode": short_code,
            "displayName": format!("Company {short_code}"),
            "contactEmail": format!("it@{short_code}.example"),
        });
        self.post("/api/v1/msp/tenants", &body).await.expect(201)
    }

    /// Provisions a tenant; its id.
    pub async fn tenant(&self, short_code: &str) -> TenantId {
        let tenant = self.provision(short_code).await;
        tenant["tenantId"].as_str().unwrap().parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}

/// Asks until the answer is yes; fails after 30 seconds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    for _ in 0..300 {
        if ask().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it never happened that {what}");
}

/// Writes the second event of a tenant into the log's tables, past the service; its position.
pub async fn append_by_hand(database: &mut PgConnection, tenant: TenantId, event_type: &str, payload: &str) -> i64 {
    let sql = "with head as (update log_head set position = position + 1 returning position, recorded_at) \
        insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, \
        position, tenant_id, recorded_at) \
        select aggregate_type, aggregate_id, 2, $2, '1', $3::json, '{}', head.position, tenant_id, head.recorded_at \
        from events, head where aggregate_type = 'tenant' and aggregate_id = $1 and sequence = 1 \
        returning events.position";
    let insert = sqlx::query_scalar(sql).bind(tenant.to_string()).bind(event_type).bind(payload);
    insert.fetch_one(database).await.unwrap()
}
