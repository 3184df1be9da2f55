//! A client that gives commands to tenants of its own, follows each one up until it knows what became of it, and writes
//! down every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::StatusCode;
use serde_json::Value;
use tenure_aggregates::TenantId;
use tenure_aggregates::tenant::Stage;

use crate::cell::Access;
use crate::command::Command;
use crate::history::{Believed, History, Kind, Promise, Record};
use crate::random::Random;

/// Longer than the service lets a client wait for a command's outcome (10 s).
const PATIENCE: Duration = Duration::from_secs(13);
/// For how long a command is followed up. No fault lasts as long.
const FOLLOWED_UP_FOR: Duration = Duration::from_mins(4);

/// How clients behave.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Longest pause between commands, in milliseconds.
    pub pause_ms: u64,
    /// In how many of a hundred cases a command whose outcome is not known, or that was refused for lack of a database,
    /// is left alone instead of followed up.
    pub gives_up: u64,
    /// How many of a hundred commands are followed by a read, on any instance, of what they wrote.
    pub reads: u64,
    /// How long one attempt may take.
    pub patience: Duration,
}

impl Default for Manners {
    fn default() -> Self {
        Self { pause_ms: 12, gives_up: 8, reads: 15, patience: PATIENCE }
    }
}

/// A tenant whose only client this is.
#[derive(Clone, Debug)]
struct Owned {
    id: TenantId,
    short_code: String,
    stage: Stage,
    /// Position of its last command that is known.
    position: u64,
}

/// One client.
#[derive(Debug)]
pub struct Client {
    name: String,
    access: Arc<Access>,
    http: reqwest::Client,
    random: Random,
    manners: Manners,
    tenants: Vec<Owned>,
    /// The last command that was acknowledged with a key, and the version that the answer showed.
    last: Option<(Command, String)>,
    commands: u64,
    history: History,
}

/// The answer to a command that was carried out.
#[derive(Clone, Debug)]
pub struct Done {
    /// The tenant, where the answer shows it.
    pub id: Option<TenantId>,
    /// The version that the answer shows.
    pub etag: String,
    /// The position told.
    pub position: Option<u64>,
}

/// What one attempt came to.
enum Attempt {
    Done(Done),
    Refused { code: String },
    NotDone,
    Unknown,
}

impl Client {
    /// A client with this name, which is part of everything that it makes.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn new(name: &str, access: Arc<Access>, random: &Random, manners: Manners) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(manners.patience).build()?;
        Ok(Self {
            name: name.to_owned(),
            access,
            http,
            random: random.child(name),
            manners,
            tenants: Vec::new(),
            last: None,
            commands: 0,
            history: History::default(),
        })
    }

    /// Works until told to stop; the command in hand is followed up. Hands over what it knows.
    pub async fn work(mut self, stop: Arc<AtomicBool>) -> History {
        while !stop.load(Ordering::Relaxed) {
            self.next().await;
            let pause = self.random.between(0, self.manners.pause_ms);
            tokio::time::sleep(pause).await;
        }
        self.into_history()
    }

    /// What it knows.
    #[must_use]
    pub fn into_history(mut self) -> History {
        for tenant in self.tenants {
            self.history.tenants.insert(tenant.short_code, Believed { id: tenant.id, stage: Some(tenant.stage) });
        }
        self.history
    }

    /// A mark that no other command of this client has.
    pub fn mark(&mut self) -> String {
        self.commands += 1;
        format!("{}-{}", self.name, self.commands)
    }

    /// Gives this very command to this instance, until it is carried out. `None` if it was refused, which is then among
    /// the surprises, or left.
    pub async fn carry_out(&mut self, at: usize, command: &Command, short_code: &str) -> Option<Done> {
        match self.see_through(Some(at), command, short_code).await {
            Attempt::Done(done) => Some(done),
            Attempt::Refused { .. } | Attempt::NotDone | Attempt::Unknown => None,
        }
    }

    /// Makes a tenant at this instance; its id, its short code and its position.
    ///
    /// # Errors
    /// It was not made.
    pub async fn new_tenant(&mut self, at: usize) -> anyhow::Result<(TenantId, String, u64)> {
        let short_code = self.mark();
        let command = Command::provision(short_code.clone(), &short_code);
        let done = self.carry_out(at, &command, &short_code).await.context("a tenant was not made")?;
        Ok((done.id.context("a tenant has no id")?, short_code, done.position.unwrap_or_default()))
    }

    /// Something that was seen and must not be.
    pub fn surprise(&mut self, what: String) {
        self.history.surprises.push(what);
    }

    async fn next(&mut self) {
        if let Some((command, etag)) = self.last.take()
            && self.random.chance(6)
        {
            return self.repeat(&command, &etag).await;
        }
        let mark = self.mark();
        if self.tenants.is_empty() || self.random.chance(20) {
            self.provision(mark).await;
            return;
        }
        let place = self.random.index(self.tenants.len());
        let Owned { id, short_code, stage, .. } = self.tenants[place].clone();
        let command = Command::of_life(&mut self.random, mark, id, &short_code, stage, self.commands);
        match self.see_through(None, &command, &short_code).await {
            Attempt::Done(Done { etag, position, .. }) => {
                let tenant = &mut self.tenants[place];
                tenant.stage = command.stage_after(stage);
                tenant.position = position.unwrap_or(tenant.position);
                if self.random.chance(self.manners.reads) {
                    self.read_back(place).await;
                }
                self.last = command.takes_key().then_some((command, etag));
            }
            Attempt::Refused { .. } => {}
            Attempt::NotDone | Attempt::Unknown => {
                self.tenants.swap_remove(place);
                self.history.tenants.insert(short_code, Believed { id, stage: None });
            }
        }
    }

    async fn provision(&mut self, mark: String) {
        let short_code = mark.clone();
        let command = Command::provision(mark, &short_code);
        let attempt = self.see_through(None, &command, &short_code).await;
        if let Attempt::Done(Done { id: Some(id), etag, position }) = attempt {
            let position = position.unwrap_or_default();
            self.tenants.push(Owned { id, short_code, stage: Stage::Active, position });
            self.last = Some((command, etag));
        }
    }

    /// Sends a command until its outcome is known, or leaves it.
    async fn see_through(&mut self, at: Option<usize>, command: &Command, short_code: &str) -> Attempt {
        let mut record = Record {
            mark: command.mark.clone(),
            kind: command.kind,
            short_code: short_code.to_owned(),
            attempts: Vec::new(),
            promise: Promise::NotDone,
            position: None,
        };
        let began = Instant::now();
        let outcome = loop {
            let instance = at.unwrap_or_else(|| self.random.index(self.access.urls.len()));
            let attempt = self.attempt(instance, command, &mut record.attempts).await;
            match &attempt {
                Attempt::Done(Done { position, .. }) => {
                    record.promise = Promise::Done;
                    record.position = position.filter(|_| record.attempts.len() == 1);
                    break attempt;
                }
                // An earlier attempt may still be on its way, and meet a stage that allows it.
                Attempt::Refused { code } if Some(code.as_str()) == command.refusal => match record.promise {
                    Promise::Unknown => break Attempt::Unknown,
                    Promise::NotDone | Promise::Done => break attempt,
                },
                Attempt::Refused { code } => {
                    let told = record.attempts.join(", ");
                    self.history.surprises.push(format!("{} was refused with {code}: {told}", command.mark));
                    break attempt;
                }
                Attempt::Unknown => record.promise = Promise::Unknown,
                Attempt::NotDone => {}
            }
            let late = began.elapsed() > FOLLOWED_UP_FOR;
            if late {
                let told = record.attempts.join(", ");
                self.history.surprises.push(format!("{} was not answered for minutes: {told}", command.mark));
            }
            // Without a key a request that is late on its way can't be told from its repetition.
            let is_open = record.promise == Promise::Unknown && !command.takes_key();
            if late || is_open || self.random.chance(self.manners.gives_up) {
                break attempt;
            }
            tokio::time::sleep(self.random.between(10, 60)).await;
        };
        if command.refusal.is_some() && record.promise == Promise::Done {
            self.history.surprises.push(format!("{} was carried out, though its stage forbids it", command.mark));
        }
        self.history.records.push(record);
        outcome
    }

    async fn attempt(&self, instance: usize, command: &Command, told: &mut Vec<String>) -> Attempt {
        let token = if command.kind == Kind::Restore { &self.access.support } else { &self.access.msp };
        let url = format!("{}{}", self.access.urls[instance], command.path);
        let request = self.http.request(command.method.clone(), url).bearer_auth(token).json(&command.body);
        let request = request.header("x-request-id", &command.mark);
        let request = if command.takes_key() { request.header("idempotency-key", &command.mark) } else { request };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                // One that could not connect was never sent.
                let (word, attempt) =
                    if error.is_connect() { ("refused", Attempt::NotDone) } else { ("broke", Attempt::Unknown) };
                told.push(format!("{instance}: {word}"));
                return attempt;
            }
        };
        let status = answer.status();
        let header =
            |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let (etag, position) = (header("etag"), header("tenure-position").parse().ok());
        let body: Option<Value> = match answer.text().await {
            Ok(text) if text.is_empty() => Some(Value::Null),
            Ok(text) => serde_json::from_str(&text).ok(),
            Err(_) => None,
        };
        let code = body.as_ref().and_then(|body| body["code"].as_str()).unwrap_or_default().to_owned();
        told.push(format!("{instance}: {} {code}", status.as_u16()));
        if status.is_success() {
            let id = body.as_ref().and_then(|body| body["tenantId"].as_str()?.parse().ok());
            return Attempt::Done(Done { id, etag, position });
        }
        match (status, code.as_str()) {
            // The first attempt is still on its way.
            (StatusCode::CONFLICT, "request-in-flight") | (_, "outcome-unknown" | "") => Attempt::Unknown,
            (StatusCode::SERVICE_UNAVAILABLE, _) => Attempt::NotDone,
            _ => Attempt::Refused { code },
        }
    }

    /// The same request once more: it must get the first answer.
    async fn repeat(&mut self, command: &Command, etag: &str) {
        let instance = self.random.index(self.access.urls.len());
        let mut told = Vec::new();
        match self.attempt(instance, command, &mut told).await {
            Attempt::Done(done) if done.etag == etag => {}
            Attempt::NotDone | Attempt::Unknown => {}
            Attempt::Done(_) | Attempt::Refused { .. } => {
                let told = told.join(", ");
                self.history.surprises.push(format!("{} was repeated and answered otherwise: {told}", command.mark));
            }
        }
    }

    /// What was written is read, wherever it is asked for. An instance may say that it can't tell; it may not be wrong.
    async fn read_back(&mut self, place: usize) {
        let Owned { id, short_code, stage, position } = self.tenants[place].clone();
        let instance = self.random.index(self.access.urls.len());
        let listed = self.random.chance(50);
        let query = if listed { "/billing-events" } else { "" };
        let url = format!("{}/api/v1/msp/tenants/{id}{query}", self.access.urls[instance]);
        let request = self.http.get(url).bearer_auth(&self.access.msp).header("tenure-min-position", position);
        let Ok(answer) = request.send().await else { return };
        let status = answer.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return;
        }
        let Ok(text) = answer.text().await else { return };
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let right = if listed {
            // The last of them tells the stage.
            let mut newest_first = body.as_array().into_iter().flatten().rev();
            newest_first.find_map(|event| stage_after(event["type"].as_str()?)) == Some(stage)
        } else {
            body["status"].as_str() == Some(stage.as_str())
        };
        self.history.reads += 1;
        if status != StatusCode::OK || !right {
            let what = format!("{short_code} is {stage} since {position}, instance {instance} says {status}: {text}");
            self.history.surprises.push(what);
        }
    }
}

/// The stage in which a billing event leaves a tenant.
fn stage_after(event: &str) -> Option<Stage> {
    match event {
        "tenant.provisioned" | "tenant.reinstated" => Some(Stage::Active),
        "tenant.suspended" | "tenant.restored" => Some(Stage::Suspended),
        "tenant.deprovisioned" => Some(Stage::Deprovisioning),
        "tenant.deleted" => Some(Stage::Deleted),
        _ => None,
    }
}
