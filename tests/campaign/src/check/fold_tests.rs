//! Streams of the `NetBird` dialect, which the campaign's own load does not make, in a log of its own.

use tenure_aggregates::link::{GroupGrants, INVITATION_CLAIM, MSP_DOMAIN_CLAIM, NewLink, Origin};
use tenure_aggregates::{Folded as Stream, LinkId, link, subscription};
use tenure_event_log::{
    Append, Clock, EngineConfig, Json, Lane, LogConfig, MasterKey, NewEvent, StreamAppend, StreamId,
};
use uuid::Uuid;

use super::*;

/// Decides and appends; the state afterwards.
async fn command<A: Decider>(log: &EventLog, id: &str, before: Stream<A>, command: A::Command) -> Stream<A> {
    let decision = before.decide(command).unwrap();
    let events = decision.events.iter().map(|event| NewEvent {
        event_type: cqrs_es::DomainEvent::event_type(event).into(),
        event_version: cqrs_es::DomainEvent::event_version(event).into(),
        payload: Json::of(event).unwrap(),
        metadata: BTreeMap::new(),
    });
    let (stream, tenant_id) = (StreamId::new(A::TYPE, id.to_owned()), Uuid::now_v7());
    let append = StreamAppend { stream, tenant_id, expected: before.sequence, events: events.collect() };
    log.append(Append::new(Uuid::now_v7(), vec![append]), Lane::Foreground).await.unwrap();
    decision.after
}

#[tokio::test]
async fn links_and_subscriptions_are_folded_with_their_claims() {
    let directory = tempfile::tempdir().unwrap();
    let engine = EngineConfig::Sqlite { directory: directory.path().to_owned() };
    let key = MasterKey::load_or_create(&directory.path().join("master.key")).unwrap();
    EventLog::migrate(&engine).await.unwrap();
    let log = EventLog::open(LogConfig::new(engine, key, Clock::default())).await.unwrap();
    let [msp, account] = [1, 2].map(|id| TenantId::from_uuid(Uuid::from_u128(id)));
    let (id, at) = (LinkId::between(msp, account).to_string(), log.clock().now());
    let new = NewLink {
        msp,
        account,
        name: "A customer".parse().unwrap(),
        domain: "customer.example".parse().unwrap(),
        groups: GroupGrants::default(),
        dns_challenge: "YXNk".parse().unwrap(),
    };
    let domain = (format!("{MSP_DOMAIN_CLAIM}|{}", new.domain_key()), id.clone());
    let invitation = (format!("{INVITATION_CLAIM}|{account}"), id.clone());
    let create = link::Command::Create { link: new, origin: Origin::Existing, at };
    let link = command(&log, &id, Stream::<Link>::default(), create).await;
    let link = command(&log, &id, link, link::Command::Invite { at }).await;
    let invited = facts(&log).await.unwrap();
    assert_eq!(invited.faults, Vec::<String>::new());
    assert_eq!(invited.claims, BTreeMap::from([domain.clone(), invitation]));

    command(&log, &id, link, link::Command::Accept { at }).await;
    let change = subscription::Command::Change { price: "price_1".parse().unwrap(), link: link::Stage::Active, at };
    command(&log, &account.to_string(), Stream::<Subscription>::default(), change).await;
    let active = facts(&log).await.unwrap();
    assert_eq!((active.faults, active.head), (Vec::new(), 4));
    assert_eq!(active.claims, BTreeMap::from([domain]), "an answered invitation is open no more");
    log.shutdown().await;
}
