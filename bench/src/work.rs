//! What one client does: its next request, and what the answer to it means.

use std::rc::Rc;

use serde::Deserialize;
use uuid::Uuid;

use crate::http::{Answer, Ask};

const TENANTS: &str = "/api/v1/msp/tenants";

/// What all clients of a run do.
#[derive(Clone)]
pub enum Work {
    /// Provisions tenants with distinct short codes, each request with an `Idempotency-Key`.
    Provision {
        /// Don't wait for the views.
        respond_async: bool,
        /// How many of a hundred requests repeat an earlier one, key and body.
        repeats_percent: u64,
    },
    /// Suspends and reinstates in turn; each client has tenants of its own.
    Switch(Rc<Vec<Uuid>>),
    /// All clients suspend and reinstate the same tenant.
    SwitchOne(Uuid),
    /// Reads one path.
    Read(Rc<str>),
}

/// Where the tokens of a run come from.
#[derive(Clone)]
pub enum Tokens {
    /// One for all: its signature is checked once.
    Same(Rc<str>),
    /// Another one with every request.
    Fresh(Rc<Vec<Rc<str>>>),
}

/// Numbers that all clients of a process draw from.
#[derive(Clone, Default)]
pub struct Counters(Rc<Numbers>);

#[derive(Default)]
struct Numbers {
    tenant: std::cell::Cell<u64>,
    token: std::cell::Cell<usize>,
}

/// One client.
pub struct Client {
    work: Work,
    tokens: Tokens,
    counters: Counters,
    /// Which of the clients it is, and how many there are.
    place: (usize, usize),
    turns: usize,
    /// Key and body of the last provisioning that succeeded.
    last: Option<(String, String)>,
    sent: Option<Sent>,
}

struct Sent {
    key: String,
    body: String,
    is_repeat: bool,
}

/// What an answer came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// A tenant was made.
    Provisioned(Uuid),
    /// Done, and nothing more to remember: a read, a repeat, a switch.
    Done,
    /// Refused by a rule, as happens where all switch one tenant: 409.
    Refused,
    /// Anything else.
    Failed(u16),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tenant {
    tenant_id: Uuid,
}

impl Counters {
    fn tenant(&self) -> u64 {
        let number = self.0.tenant.get() + 1;
        self.0.tenant.set(number);
        number
    }

    fn token(&self) -> usize {
        let number = self.0.token.get();
        self.0.token.set(number + 1);
        number
    }
}

impl Client {
    /// The client at `place` of so many.
    pub const fn new(work: Work, tokens: Tokens, counters: Counters, place: (usize, usize)) -> Self {
        Self { work, tokens, counters, place, turns: 0, last: None, sent: None }
    }

    /// The next request.
    pub fn next(&mut self) -> Ask {
        let turn = self.turns;
        self.turns += 1;
        let (method, path, body) = match &self.work {
            Work::Provision { respond_async, repeats_percent } => {
                let is_repeat = turn as u64 * 37 % 100 < *repeats_percent;
                let respond_async = *respond_async;
                let (key, body) = match self.last.clone().filter(|_| is_repeat) {
                    Some(last) => last,
                    None => (Uuid::now_v7().to_string(), provision(self.counters.tenant())),
                };
                let is_repeat = self.last.as_ref().is_some_and(|(last, _)| *last == key);
                self.sent = Some(Sent { key: key.clone(), body: body.clone(), is_repeat });
                let ask = self.ask("POST", TENANTS.to_owned(), body);
                return Ask { key: Some(key), respond_async, ..ask };
            }
            Work::Switch(tenants) => {
                // Every second request undoes the one before it.
                let (client, clients) = self.place;
                let mine = tenants.len() / clients;
                let tenant = tenants[client * mine + turn / 2 % mine];
                ("POST", switch(tenant, turn), String::new())
            }
            Work::SwitchOne(tenant) => ("POST", switch(*tenant, turn), String::new()),
            Work::Read(path) => ("GET", path.to_string(), String::new()),
        };
        self.ask(method, path, body)
    }

    fn ask(&self, method: &'static str, path: String, body: String) -> Ask {
        let token = match &self.tokens {
            Tokens::Same(token) => Rc::clone(token),
            Tokens::Fresh(tokens) => Rc::clone(&tokens[self.counters.token() % tokens.len()]),
        };
        Ask { method, path, token, body, key: None, respond_async: false }
    }

    /// What the answer to the last request means.
    pub fn answered(&mut self, answer: &Answer) -> Outcome {
        let status = answer.status.as_u16();
        let sent = self.sent.take();
        match (&self.work, status) {
            // 202 where nobody asked for it: the views came too late.
            (Work::Provision { respond_async: false, .. }, 201)
            | (Work::Provision { respond_async: true, .. }, 202) => {
                let Some(Sent { key, body, is_repeat: false }) = sent else { return Outcome::Done };
                self.last = Some((key, body));
                match serde_json::from_slice::<Tenant>(&answer.body) {
                    Ok(tenant) => Outcome::Provisioned(tenant.tenant_id),
                    Err(_) => Outcome::Failed(status),
                }
            }
            (Work::Switch(_) | Work::SwitchOne(_) | Work::Read(_), 200) => Outcome::Done,
            (Work::SwitchOne(_), 409) => Outcome::Refused,
            (_, other) => Outcome::Failed(other),
        }
    }
}

fn switch(tenant: Uuid, turn: usize) -> String {
    let verb = if turn.is_multiple_of(2) { "suspend" } else { "reinstate" };
    format!("{TENANTS}/{tenant}/{verb}")
}

fn provision(number: u64) -> String {
    format!(
        r#"{{"shortCode":"t-{number:x}","displayName":"Company {number}","contactEmail":"it@company-{number}.example","maxUsers":250,"modules":["ad","ssh"]}}"#
    )
}
