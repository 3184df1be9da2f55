//! Whether a topic holds exactly the billing events of the log: none missing, none too many, none altered, none behind a
//! later one.
//!
//! Records come in any order of partitions; each is held against the event at its position. What was seen is kept as one
//! bit per position of the log, so memory is bounded: 13 MB for 100 million positions.

mod positions;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tenure_aggregates::TenantId;
use tenure_event_log::Position;
use uuid::Uuid;

use super::{BillingEvent, BillingType, DocumentError, document};
use positions::Positions;

/// Findings that are kept; more are only counted.
const MOST_FINDINGS: usize = 1_000;

/// A record as a consumer got it.
#[derive(Clone, Debug)]
pub struct TopicRecord {
    /// Where it stands.
    pub place: Place,
    /// The key, if it is an id.
    pub tenant_id: Option<Uuid>,
    /// `ce_id`, if it is an id.
    pub event_id: Option<Uuid>,
    /// `ce_sequence`, if it is a number.
    pub position: Option<u64>,
    /// Whether a replay wrote it (`ce_replayid`).
    pub is_replay: bool,
    /// The value.
    pub payload: Option<Vec<u8>>,
}

/// Where in a topic a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {}, offset {}", self.partition, self.offset)
    }
}

/// Which events are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Up to here in the log; later records are not looked at.
    pub upto: Position,
    /// Occurred then or later.
    pub from: Option<DateTime<Utc>>,
    /// Occurred before then.
    pub to: Option<DateTime<Utc>>,
    /// Only those of this customer.
    pub tenant: Option<TenantId>,
    /// Up to here in the log a replay may have written to the topic.
    pub replayed_upto: Position,
}

impl Extent {
    fn holds(&self, event: &BillingEvent) -> bool {
        self.from.is_none_or(|from| event.occurred_at >= from)
            && self.to.is_none_or(|to| event.occurred_at < to)
            && self.tenant.is_none_or(|tenant| event.tenant_id == tenant)
    }
}

/// Something about the topic that is not as the log says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum Finding {
    /// The topic lacks an event.
    Missing {
        /// Where in the log.
        position: u64,
        /// Its id.
        event_id: Uuid,
    },
    /// The log has no such event, or a replay wrote it where none may.
    Extra {
        /// Where in the topic.
        #[serde(flatten)]
        place: Place,
        /// The id that it claims.
        event_id: Option<Uuid>,
        /// The position that it claims.
        position: Option<u64>,
    },
    /// An event that the topic has already.
    Doubled {
        /// Where in the topic it comes again.
        #[serde(flatten)]
        place: Place,
        /// Where in the log.
        position: u64,
        /// Its id.
        event_id: Uuid,
    },
    /// It does not say what the log says.
    Altered {
        /// Where in the topic.
        #[serde(flatten)]
        place: Place,
        /// Where in the log.
        position: u64,
        /// The event's id in the log.
        event_id: Uuid,
        /// The part that differs.
        what: &'static str,
    },
    /// It stands behind a later event of its partition.
    Misplaced {
        /// Where in the topic.
        #[serde(flatten)]
        place: Place,
        /// Where in the log.
        position: u64,
        /// Its id.
        event_id: Uuid,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { position, event_id } => write!(f, "missing: event {event_id} at position {position}"),
            Self::Extra { place, event_id: Some(event_id), .. } => write!(f, "extra: event {event_id} ({place})"),
            Self::Extra { place, event_id: None, .. } => write!(f, "extra: a record that is no event ({place})"),
            Self::Doubled { place, position, event_id } => {
                write!(f, "doubled: event {event_id} at position {position} ({place})")
            }
            Self::Altered { place, position, event_id, what } => {
                write!(f, "altered: the {what} of event {event_id} at position {position} ({place})")
            }
            Self::Misplaced { place, position, event_id } => {
                write!(f, "misplaced: event {event_id} at position {position}, behind a later one ({place})")
            }
        }
    }
}

/// How often each kind of finding was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "named like the findings")]
pub struct Counts {
    pub missing: u64,
    pub extra: u64,
    pub doubled: u64,
    pub altered: u64,
    pub misplaced: u64,
}

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Records looked at.
    pub records: u64,
    /// Events of the log that should be there, once each.
    pub events: u64,
    /// How often each kind of finding was made.
    #[serde(flatten)]
    pub counts: Counts,
    /// The first findings, up to a thousand.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { missing, extra, doubled, altered, misplaced } = self;
        write!(f, "{missing} missing, {extra} extra, {doubled} doubled, {altered} altered, {misplaced} misplaced")
    }
}

impl Report {
    /// Whether the topic holds exactly what it should.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.counts == Counts::default()
    }

    fn add(&mut self, finding: Finding) {
        let counts = &mut self.counts;
        *match finding {
            Finding::Missing { .. } => &mut counts.missing,
            Finding::Extra { .. } => &mut counts.extra,
            Finding::Doubled { .. } => &mut counts.doubled,
            Finding::Altered { .. } => &mut counts.altered,
            Finding::Misplaced { .. } => &mut counts.misplaced,
        } += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }
}

/// A comparison under way: first all of the topic's records, then all of the log's events.
#[derive(Debug)]
pub struct Comparison {
    extent: Extent,
    seen: Positions,
    /// The highest position that each partition has shown.
    last: HashMap<i32, u64>,
    report: Report,
}

impl Comparison {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(extent: Extent) -> Self {
        Self { extent, seen: Positions::default(), last: HashMap::new(), report: Report::default() }
    }

    /// The positions whose events [`Comparison::records`] needs for these records.
    #[must_use]
    pub fn look_up(&self, records: &[TopicRecord]) -> Vec<u64> {
        let mut positions: Vec<u64> = records.iter().filter_map(|record| record.position).collect();
        positions.retain(|position| *position <= self.extent.upto.get());
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    /// Takes some of the topic's records, each partition's in their order, and the log's events at their positions.
    ///
    /// # Errors
    /// [`DocumentError`] where an event of the log can't be written down itself.
    pub fn records(&mut self, records: &[TopicRecord], log: &[BillingEvent]) -> Result<(), DocumentError> {
        let log: HashMap<u64, &BillingEvent> = log.iter().map(|event| (event.position.get(), event)).collect();
        for record in records {
            // The log goes on while it is compared.
            if record.position.is_some_and(|position| position > self.extent.upto.get()) {
                continue;
            }
            let event = record.position.and_then(|position| log.get(&position));
            match event {
                Some(event) if self.extent.holds(event) => self.record(record, event)?,
                Some(_) => {}
                None => {
                    self.report.records += 1;
                    self.report.add(extra(record));
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &TopicRecord, event: &BillingEvent) -> Result<(), DocumentError> {
        self.report.records += 1;
        let (place, position, event_id) = (record.place, event.position.get(), event.event_id);
        if record.is_replay && event.position > self.extent.replayed_upto {
            self.report.add(extra(record));
            return Ok(());
        }
        if let Some(what) = difference(record, event)? {
            self.report.add(Finding::Altered { place, position, event_id, what });
        }
        let last = self.last.entry(place.partition).or_default();
        let is_behind = position < *last;
        *last = position.max(*last);
        if !self.seen.insert(position) {
            self.report.add(Finding::Doubled { place, position, event_id });
        } else if is_behind {
            self.report.add(Finding::Misplaced { place, position, event_id });
        }
        Ok(())
    }

    /// Takes some of the log's events, after all of the records.
    pub fn events(&mut self, events: &[BillingEvent]) {
        for event in events.iter().filter(|event| event.position <= self.extent.upto && self.extent.holds(event)) {
            self.report.events += 1;
            let position = event.position.get();
            if !self.seen.contains(position) {
                self.report.add(Finding::Missing { position, event_id: event.event_id });
            }
        }
    }

    /// What it came to, after all events.
    #[must_use]
    pub fn finish(self) -> Report {
        self.report
    }
}

fn extra(record: &TopicRecord) -> Finding {
    Finding::Extra { place: record.place, event_id: record.event_id, position: record.position }
}

/// The part of the record that is not what the log says.
fn difference(record: &TopicRecord, event: &BillingEvent) -> Result<Option<&'static str>, DocumentError> {
    if record.event_id != Some(event.event_id) {
        return Ok(Some("ce_id"));
    }
    if record.tenant_id != Some(event.tenant_id.as_uuid()) {
        return Ok(Some("key"));
    }
    let Some(payload) = &record.payload else { return Ok(Some("payload")) };
    let mut document = Vec::with_capacity(payload.len());
    document::write(event, &mut document)?;
    Ok((*payload != document && !is_older_form(payload, &document, event)).then_some("payload"))
}

/// Whether an older release wrote the payload: what it lacks are fields that were added since, which are optional, and the
/// rest is the same to the byte.
fn is_older_form(payload: &[u8], document: &[u8], event: &BillingEvent) -> bool {
    let object = |json: &[u8]| match serde_json::from_slice(json) {
        Ok(Value::Object(members)) => Some(members),
        Ok(_) | Err(_) => None,
    };
    let (Some(was), Some(mut is)) = (object(payload), object(document)) else { return false };
    let fields = BillingType::named(&event.event_type).map_or(&[][..], BillingType::fields);
    for field in fields.iter().filter(|field| !field.required && !was.contains_key(field.name)) {
        is.shift_remove(field.name);
    }
    serde_json::to_vec(&is).is_ok_and(|older| older == payload)
}
