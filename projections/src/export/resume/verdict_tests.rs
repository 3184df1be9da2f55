//! Each way in which the brokers and the log can disagree, and those in which they don't.

use std::collections::BTreeMap;

use super::*;

const TOPIC: &str = "tenure.billing.v1";

fn there() -> Uuid {
    Uuid::from_u128(7)
}

fn progress(position: u64) -> Progress {
    Progress {
        log_id: Uuid::from_u128(1),
        position,
        event_id: (position > 0).then(there),
        since: 0,
        topic: TOPIC.to_owned(),
        partitions: 6,
        written: BTreeMap::new(),
    }
}

fn filled() -> Topic {
    Topic { partitions: 6, replication: 1, empty: false, compacted: false, retention_ms: -1, min_insync_replicas: 1 }
}

/// Position 10 of 20 is exported, and everything agrees.
fn agreed() -> Evidence {
    Evidence {
        log_id: Uuid::from_u128(1),
        head: Position::new(20),
        event_there: Some(there()),
        progress: Some(progress(10)),
        scribble: None,
        copy: Some(progress(10)),
        billing_topic: Some(filled()),
        missing: None,
        torn: None,
        event_ahead: None,
    }
}

fn doubt(evidence: &Evidence) -> Doubt {
    weigh(evidence, TOPIC).expect_err("it should be in doubt")
}

#[test]
fn what_agrees_goes_on_where_it_was() {
    assert_eq!(weigh(&agreed(), TOPIC), Ok(Some(progress(10))));
}

#[test]
fn a_copy_that_is_older_or_lost_is_no_reason_to_stop() {
    assert_eq!(weigh(&Evidence { copy: Some(progress(3)), ..agreed() }, TOPIC), Ok(Some(progress(10))));
    assert_eq!(weigh(&Evidence { copy: None, ..agreed() }, TOPIC), Ok(Some(progress(10))));
}

#[test]
fn a_first_start_begins_at_the_beginning() {
    let first = Evidence { progress: None, copy: None, billing_topic: None, event_there: None, ..agreed() };
    assert_eq!(weigh(&first, TOPIC), Ok(None));
    let made = Evidence { billing_topic: Some(Topic { empty: true, ..filled() }), ..first };
    assert_eq!(weigh(&made, TOPIC), Ok(None));
}

#[test]
fn missing_progress_is_doubted_when_anything_was_exported() {
    assert_eq!(doubt(&Evidence { progress: None, ..agreed() }), Doubt::ProgressLost { copy: 10 });
    assert_eq!(doubt(&Evidence { progress: None, copy: None, ..agreed() }), Doubt::ProgressUnknown);
}

#[test]
fn a_record_that_is_no_progress_is_doubted() {
    let scribbled = Evidence { progress: None, scribble: Some(3), ..agreed() };
    assert_eq!(doubt(&scribbled), Doubt::ProgressUnreadable { offset: 3 });
}

#[test]
fn progress_behind_its_copy_is_doubted() {
    let behind = Evidence { copy: Some(progress(11)), ..agreed() };
    assert_eq!(doubt(&behind), Doubt::ProgressBehind { progress: 10, copy: 11 });
}

#[test]
fn a_billing_topic_that_is_gone_or_emptied_is_doubted() {
    assert_eq!(doubt(&Evidence { billing_topic: None, ..agreed() }), Doubt::TopicAbsent);
    let emptied = Topic { empty: true, ..filled() };
    assert_eq!(doubt(&Evidence { billing_topic: Some(emptied), ..agreed() }), Doubt::TopicEmpty);
}

#[test]
fn a_record_that_is_not_where_it_was_written_is_doubted() {
    let missing = Some(Missing { partition: 3, record: Written { offset: 12, position: 9 } });
    let elsewhere = Evidence { missing, ..agreed() };
    assert_eq!(doubt(&elsewhere), Doubt::RecordMissing { partition: 3, offset: 12, position: 9 });
    let emptied = Evidence { billing_topic: Some(Topic { empty: true, ..filled() }), ..elsewhere };
    assert_eq!(doubt(&emptied), Doubt::TopicEmpty, "which says more");
}

#[test]
fn an_empty_topic_is_as_it_should_be_where_nothing_was_exported_to_it_yet() {
    let resumed = Evidence {
        progress: Some(Progress { since: 10, ..progress(10) }),
        billing_topic: Some(Topic { empty: true, ..filled() }),
        ..agreed()
    };
    assert!(weigh(&resumed, TOPIC).is_ok());
}

#[test]
fn another_number_of_partitions_is_doubted() {
    let more = Evidence { billing_topic: Some(Topic { partitions: 12, ..filled() }), ..agreed() };
    assert_eq!(doubt(&more), Doubt::PartitionsChanged { before: 6, now: 12 });
}

#[test]
fn a_restored_log_is_doubted() {
    let shorter = Evidence { head: Position::new(9), event_there: None, ..agreed() };
    assert_eq!(doubt(&shorter), Doubt::PastTheHead { progress: 10, head: 9 });
    let other = Evidence { event_there: Some(Uuid::from_u128(8)), ..agreed() };
    assert_eq!(doubt(&other), Doubt::OtherEvent { position: 10 });
}

#[test]
fn another_log_or_another_topic_is_doubted() {
    assert_eq!(doubt(&Evidence { log_id: Uuid::from_u128(2), ..agreed() }), Doubt::OtherLog);
    let elsewhere = weigh(&agreed(), "tenure.billing.v2").expect_err("it should be in doubt");
    assert_eq!(elsewhere, Doubt::OtherTopic { before: TOPIC.to_owned() });
}
