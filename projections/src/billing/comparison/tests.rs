//! Topics made up from a log of a few events, each with one thing wrong.

use chrono::{DateTime, TimeDelta};
use tenure_aggregates::TenantId;

use super::*;

const UPTO: u64 = 1_000;

fn event(position: u64) -> BillingEvent {
    let occurred_at = DateTime::from_timestamp_micros(1_775_572_200_000_000).unwrap()
        + TimeDelta::days(i64::try_from(position).unwrap());
    BillingEvent {
        position: Position::new(position),
        event_id: Uuid::from_u128(position.into()),
        event_type: "tenant.suspended".to_owned(),
        tenant_id: TenantId::from_uuid(Uuid::from_u128(u128::from(position % 3))),
        msp_id: TenantId::from_uuid(Uuid::from_u128(99)),
        short_code: "acme-corp".to_owned(),
        occurred_at,
        recorded_at: occurred_at,
        data: r#"{"reason":"unpaid"}"#.to_owned(),
    }
}

/// The log's events stand at every other position.
fn log() -> Vec<BillingEvent> {
    (1..=10).map(|number| event(2 * number)).collect()
}

fn record(event: &BillingEvent, offset: i64) -> TopicRecord {
    let mut payload = Vec::new();
    document::write(event, &mut payload).unwrap();
    TopicRecord {
        place: Place { partition: i32::try_from(event.position.get() % 3).unwrap(), offset },
        tenant_id: Some(event.tenant_id.as_uuid()),
        event_id: Some(event.event_id),
        position: Some(event.position.get()),
        is_replay: false,
        payload: Some(payload),
    }
}

/// What an export of the log wrote; its third record is that of position 6.
fn exported() -> Vec<TopicRecord> {
    (0..).zip(log()).map(|(offset, event)| record(&event, offset)).collect()
}

fn everything() -> Extent {
    Extent { upto: Position::new(UPTO), from: None, to: None, tenant: None, replayed_upto: Position::START }
}

/// Compares in small pieces, as a topic is read.
fn compare(extent: Extent, records: &[TopicRecord]) -> Report {
    let (log, mut comparison) = (log(), Comparison::new(extent));
    for piece in records.chunks(3) {
        let wanted = comparison.look_up(piece);
        let found: Vec<_> = log.iter().filter(|event| wanted.contains(&event.position.get())).cloned().collect();
        comparison.records(piece, &found).unwrap();
    }
    log.chunks(4).for_each(|piece| comparison.events(piece));
    comparison.finish()
}

fn findings(change: impl FnOnce(&mut Vec<TopicRecord>)) -> Vec<Finding> {
    let mut records = exported();
    change(&mut records);
    let report = compare(everything(), &records);
    assert_eq!((report.records, report.events), (u64::try_from(records.len()).unwrap(), 10));
    assert_eq!(report.is_clean(), report.findings.is_empty());
    report.findings
}

fn place(partition: i32, offset: i64) -> Place {
    Place { partition, offset }
}

#[test]
fn an_export_of_the_log_is_clean() {
    assert_eq!(findings(|_| {}), []);
}

#[test]
fn partitions_may_come_in_any_order() {
    assert_eq!(findings(|records| records.sort_by_key(|record| -record.place.partition)), []);
}

#[test]
fn a_removed_record_is_missing() {
    let missing = Finding::Missing { position: 6, event_id: Uuid::from_u128(6) };
    assert_eq!(findings(|records| drop(records.remove(2))), [missing]);
}

#[test]
fn a_record_that_comes_twice_is_doubled_wherever_it_comes() {
    for at in [3, 10] {
        let doubled = Finding::Doubled { place: place(0, 77), position: 6, event_id: Uuid::from_u128(6) };
        let again = |records: &mut Vec<TopicRecord>| records.insert(at, record(&event(6), 77));
        assert_eq!(findings(again), [doubled]);
    }
}

#[test]
fn an_altered_part_is_named() {
    let altered = |what| Finding::Altered { place: place(0, 2), position: 6, event_id: Uuid::from_u128(6), what };
    let payload = |change: fn(&mut Vec<u8>)| findings(|records| change(records[2].payload.as_mut().unwrap()));
    assert_eq!(payload(|payload| payload.push(b' ')), [altered("payload")]);
    assert_eq!(payload(|payload| payload.truncate(20)), [altered("payload")]);
    let another = |from: &'static str, to: &'static str| {
        findings(|records| {
            let payload = String::from_utf8(records[2].payload.take().unwrap()).unwrap();
            assert!(payload.contains(from));
            records[2].payload = Some(payload.replacen(from, to, 1).into_bytes());
        })
    };
    assert_eq!(another("unpaid", "paid"), [altered("payload")]);
    assert_eq!(another(r#","reason":"unpaid""#, ""), [altered("payload")], "the reason is not optional");
    assert_eq!(another("{", r#"{"more":1,"#), [altered("payload")]);
    assert_eq!(findings(|records| records[2].payload = None), [altered("payload")]);
    assert_eq!(findings(|records| records[2].event_id = None), [altered("ce_id")]);
    assert_eq!(findings(|records| records[2].tenant_id = Some(Uuid::from_u128(5))), [altered("key")]);
}

#[test]
fn what_the_log_does_not_have_is_extra() {
    let stranger = |position| {
        let mut stranger = record(&event(7), 50);
        stranger.position = position;
        stranger
    };
    for position in [Some(7), None] {
        let extra = Finding::Extra { place: place(1, 50), event_id: Some(Uuid::from_u128(7)), position };
        assert_eq!(findings(|records| records.push(stranger(position))), [extra]);
    }
}

#[test]
fn a_record_behind_a_later_one_of_its_partition_is_misplaced() {
    let misplaced = Finding::Misplaced { place: place(0, 2), position: 6, event_id: Uuid::from_u128(6) };
    let late = |records: &mut Vec<TopicRecord>| {
        let record = records.remove(2);
        records.push(record);
    };
    assert_eq!(findings(late), [misplaced]);
}

#[test]
fn a_replays_record_belongs_into_topics_of_replays_only() {
    let mut records = exported();
    for record in &mut records {
        record.is_replay = true;
    }
    let live = compare(everything(), &records);
    assert_eq!((live.counts.extra, live.counts.missing), (10, 10));
    let replayed = |upto| compare(Extent { replayed_upto: Position::new(upto), ..everything() }, &records);
    assert!(replayed(UPTO).is_clean());
    // The export took over behind them.
    for record in &mut records[3..] {
        record.is_replay = false;
    }
    let replayed = |upto| compare(Extent { replayed_upto: Position::new(upto), ..everything() }, &records);
    assert!(replayed(6).is_clean());
    assert_eq!((replayed(5).counts.extra, replayed(5).counts.missing), (1, 1));
}

#[test]
fn a_replay_of_one_tenant_lacks_nobody_elses_events() {
    let tenant = event(6).tenant_id;
    let of_one = Extent { tenant: Some(tenant), ..everything() };
    let mut records: Vec<_> =
        exported().into_iter().filter(|record| record.tenant_id == Some(tenant.as_uuid())).collect();
    let report = compare(of_one, &records);
    assert!(report.is_clean());
    assert_eq!((report.records, report.events), (3, 3));
    records.remove(1);
    assert_eq!(compare(of_one, &records).findings, [Finding::Missing { position: 12, event_id: Uuid::from_u128(12) }]);
    // Of a topic with everybody's events only the one's are looked at.
    assert_eq!(compare(of_one, &exported()), report);
}

#[test]
fn only_the_extent_is_compared() {
    let some = Extent { from: Some(event(6).occurred_at), to: Some(event(12).occurred_at), ..everything() };
    let report = compare(some, &exported());
    assert!(report.is_clean());
    assert_eq!((report.records, report.events), (3, 3));
    let early = compare(Extent { upto: Position::new(6), ..everything() }, &exported());
    assert!(early.is_clean(), "what was exported since is not extra");
    assert_eq!((early.records, early.events), (3, 3));
}

#[test]
fn more_findings_than_are_kept_are_counted() {
    let mut comparison = Comparison::new(everything());
    comparison.events(&(1..=UPTO).map(event).collect::<Vec<_>>());
    comparison.records(&(0..500).map(|offset| record(&event(1), offset)).collect::<Vec<_>>(), &[]).unwrap();
    let report = comparison.finish();
    assert_eq!((report.counts.missing, report.counts.extra, report.findings.len()), (UPTO, 500, MOST_FINDINGS));
}
