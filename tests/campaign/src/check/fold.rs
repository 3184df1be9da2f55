//! Reading the whole log once, event by event: every stream is folded, and what is to be compared is kept.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use chrono::{DateTime, Utc};
use tenure_aggregates::access_token::LastUse;
use tenure_aggregates::tenant::{self, Stage, Tenant};
use tenure_aggregates::{
    AccessToken, Administrator, AggregateKind, ClaimChange, ClaimKey, Decider, LimitChange, Link, Subscription,
    TenantId, decode_text,
};
use tenure_event_log::{EventLog, Position, RecordedEvent};

const PAGE: usize = 1_000;

/// What the log holds of one command.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    /// Each append: its command id and the types of its events.
    pub appends: BTreeMap<String, Vec<String>>,
    /// Position of its last event.
    pub last: u64,
    /// The tenant.
    pub tenant: Option<TenantId>,
}

/// A tenant after its last event.
#[derive(Clone, Debug)]
pub struct Folded {
    /// Where it stands.
    pub stage: Stage,
    /// Its short code.
    pub short_code: String,
}

/// What the log says.
#[derive(Debug, Default)]
pub struct Facts {
    /// The last position.
    pub head: u64,
    /// How many events there are of each type.
    pub types: BTreeMap<String, u64>,
    /// Clients' commands by mark.
    pub commands: HashMap<String, Fact>,
    /// Tenants by id.
    pub tenants: HashMap<TenantId, Folded>,
    /// Claims that the events leave: `scope|key` to owner.
    pub claims: BTreeMap<String, String>,
    /// Counted limits that the events leave: `scope|key` to used and max.
    pub limits: BTreeMap<String, (i64, i64)>,
    /// Owners whose claims can't be told any more, since what they were made of was erased.
    pub erased_owners: Vec<String>,
    /// What no correct log holds.
    pub faults: Vec<String>,
}

/// Streams in the making.
#[derive(Default)]
struct Streams {
    tenants: Folding<Tenant>,
    administrators: Folding<Administrator>,
    links: Folding<Link>,
    subscriptions: Folding<Subscription>,
    access_tokens: Folding<AccessToken>,
    access_token_uses: Folding<LastUse>,
    /// Whose people the administrators are.
    employers: HashMap<String, TenantId>,
    recorded_at: DateTime<Utc>,
}

/// The streams of one aggregate by id: the state so far, and the sequence of the last event.
#[derive(Default)]
struct Folding<A>(HashMap<String, (A, u64)>);

impl<A: Decider> Folding<A> {
    fn take(&mut self, log: &EventLog, facts: &mut Facts, event: RecordedEvent) {
        let id = event.stream.aggregate_id.clone();
        let (state, sequence) = self.0.remove(&id).unwrap_or_default();
        if let Some(state) = evolve(log, facts, state, sequence, event) {
            self.0.insert(id, (state, sequence + 1));
        }
    }
}

/// Reads and folds everything.
///
/// # Errors
/// The log can't be read.
pub async fn facts(log: &EventLog) -> anyhow::Result<Facts> {
    let (mut facts, mut streams) = (Facts::default(), Streams::default());
    loop {
        let page = log.read(Position::new(facts.head), PAGE).await.context("the log can't be read")?;
        if page.is_empty() {
            break;
        }
        for event in log.open_events(page).await.context("the log can't be opened")? {
            take(log, &mut facts, &mut streams, event);
        }
    }
    for (id, (tenant, _)) in streams.tenants.0 {
        if let (Ok(id), Some(account)) = (id.parse(), tenant.account()) {
            facts.tenants.insert(id, Folded { stage: tenant.stage(), short_code: account.short_code.to_string() });
        }
    }
    let erased = |tenant: &TenantId| facts.tenants.get(tenant).is_some_and(|tenant| tenant.stage == Stage::Deleted);
    facts.erased_owners =
        streams.employers.into_iter().filter(|(_, tenant)| erased(tenant)).map(|(id, _)| id).collect();
    Ok(facts)
}

fn take(log: &EventLog, facts: &mut Facts, streams: &mut Streams, event: RecordedEvent) {
    facts.head += 1;
    if event.position.get() != facts.head {
        facts.faults.push(format!("position {} stands where {} should", event.position, facts.head));
        facts.head = event.position.get();
    }
    if event.recorded_at < streams.recorded_at {
        facts.faults.push(format!("the time falls at position {}", event.position));
    }
    streams.recorded_at = event.recorded_at;
    *facts.types.entry(event.event_type.to_string()).or_default() += 1;
    let tenant = TenantId::from_uuid(event.tenant_id);
    let metadata: BTreeMap<String, String> = event.metadata.parse().unwrap_or_else(|error| {
        facts.faults.push(format!("the metadata at position {} can't be read: {error}", event.position));
        BTreeMap::new()
    });
    if let Some(mark) = metadata.get("request_id") {
        let fact = facts.commands.entry(mark.clone()).or_default();
        let command = metadata.get("command_id").cloned().unwrap_or_default();
        fact.appends.entry(command).or_default().push(event.event_type.to_string());
        (fact.last, fact.tenant) = (event.position.get(), Some(tenant));
    }
    let Some(kind) = AggregateKind::named(&event.stream.aggregate_type) else {
        facts.faults.push(format!("nobody knows the stream {}", event.stream));
        return;
    };
    match kind {
        AggregateKind::Tenant => streams.tenants.take(log, facts, event),
        AggregateKind::Administrator => {
            streams.employers.insert(event.stream.aggregate_id.clone(), tenant);
            streams.administrators.take(log, facts, event);
        }
        AggregateKind::Link => streams.links.take(log, facts, event),
        AggregateKind::Subscription => streams.subscriptions.take(log, facts, event),
        AggregateKind::AccessToken => streams.access_tokens.take(log, facts, event),
        AggregateKind::LastUse => streams.access_token_uses.take(log, facts, event),
    }
}

/// The state after the event, whose claims and limits are taken over; `None` if it can't follow.
fn evolve<A: Decider>(log: &EventLog, facts: &mut Facts, state: A, sequence: u64, event: RecordedEvent) -> Option<A> {
    let place = format!("{} of {} at position {}", event.event_type, event.stream, event.position);
    if event.sequence != sequence + 1 {
        facts.faults.push(format!("{place} has sequence {} after {sequence}", event.sequence));
        return None;
    }
    let owner = event.stream.aggregate_id;
    let decoded = match decode_text::<A>(&event.event_type, &event.event_version, event.payload.text()) {
        Ok(decoded) => decoded,
        Err(corruption) => {
            facts.faults.push(format!("{place}: {corruption}"));
            return None;
        }
    };
    for change in state.claims(&decoded) {
        claim(log, facts, &place, &owner, &change);
    }
    for change in state.limits(&decoded) {
        limit(facts, &change);
    }
    state.evolve(&decoded).map_err(|impossible| facts.faults.push(format!("{place}: {impossible}"))).ok()
}

fn claim(log: &EventLog, facts: &mut Facts, place: &str, owner: &str, change: &ClaimChange) {
    let (ClaimChange::Take { scope, key } | ClaimChange::Release { scope, key }) = change;
    let key = match key {
        ClaimKey::Plain(key) => key.clone(),
        ClaimKey::Personal(key) => log.blind(scope, key),
    };
    let name = format!("{scope}|{key}");
    let before = match change {
        ClaimChange::Take { .. } => facts.claims.insert(name, owner.to_owned()),
        ClaimChange::Release { .. } => facts.claims.remove(&name).filter(|holder| holder != owner),
    };
    if let Some(holder) = before {
        facts.faults.push(format!("{place} concerns a claim in {scope} that {holder} holds"));
    }
}

fn limit(facts: &mut Facts, change: &LimitChange) {
    let limit = facts.limits.entry(format!("{}|{}", change.scope, change.key)).or_default();
    limit.0 += change.delta;
    limit.1 = change.max.unwrap_or(limit.1);
}

impl Facts {
    /// How many events of this type there are.
    #[must_use]
    pub fn count(&self, event: &tenant::Event) -> u64 {
        self.types.get(event.name()).copied().unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
