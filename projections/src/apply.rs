//! Applying a batch of events to the rows of one generation, inside a transaction that somebody else began.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::Utc;
use tenure_event_log::{Position, RecordedEvent};

use crate::batch::{Cells, Session, StoreError, Table};
use crate::history::{self, Happened, Obstacle};
use crate::rows::Rows;
use crate::view::{Fact, View};
use crate::{Problem, ProblemKind};

/// An event, read once for all views.
pub(crate) struct Page {
    /// What the events follow.
    pub after: Position,
    events: Vec<(Arc<RecordedEvent>, Result<Happened, Obstacle>)>,
}

impl Page {
    pub fn new(after: Position, events: Vec<impl Into<Arc<RecordedEvent>>>) -> Self {
        let read = |event| {
            let event: Arc<RecordedEvent> = Into::into(event);
            let happened = history::read(&event);
            (event, happened)
        };
        Self { after, events: events.into_iter().map(read).collect() }
    }

    /// A page without events.
    pub fn empty(after: Position) -> Self {
        Self { after, events: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// The last position in it.
    pub fn end(&self) -> Position {
        self.events.last().map_or(self.after, |(event, _)| event.position)
    }

    /// True if the event after `position` is in it.
    pub fn continues(&self, position: Position) -> bool {
        self.after <= position && position < self.end()
    }

    fn from(&self, position: Position) -> &[(Arc<RecordedEvent>, Result<Happened, Obstacle>)] {
        let start = self.events.partition_point(|(event, _)| event.position <= position);
        &self.events[start..]
    }
}

/// What a batch came to: rows changed up to a position, and what stands behind it if that is not the page's end.
pub(crate) struct Applied {
    pub rows: Rows,
    pub position: Position,
    pub problem: Option<Problem>,
}

/// Applies what follows the rows' position, `limit` events at most, and stops before the first that can't be applied.
/// Nothing is written yet.
pub(crate) async fn apply(
    session: &mut Session,
    view: View,
    mut rows: Rows,
    page: &Page,
    limit: usize,
) -> Result<Applied, StoreError> {
    let start = rows.position;
    let mut events = page.from(start);
    events = &events[..events.len().min(limit)];
    let mut problem = None;
    loop {
        let facts = match readable(view, events) {
            Ok(facts) => facts,
            Err((index, obstacle)) => {
                problem = Some(problem_of(&events[index].0, &obstacle));
                events = &events[..index];
                continue;
            }
        };
        load(session, view, &mut rows, &facts).await?;
        let failed = facts
            .iter()
            .enumerate()
            .find_map(|(index, fact)| view.apply(fact, &mut rows).err().map(|obstacle| (index, obstacle)));
        let Some((index, obstacle)) = failed else {
            let position = events.last().map_or(start, |(event, _)| event.position);
            return Ok(Applied { rows, position, problem });
        };
        // Once more, only up to there, with rows as they were: the event may have changed some before it failed.
        let poison = facts[index].recorded;
        problem = Some(problem_of(poison, &obstacle));
        events = &events[..events.partition_point(|(event, _)| event.position < poison.position)];
        rows = Rows::new(view.tables(), rows.generation(), start);
    }
}

/// The events that concern the view; or the first that it would have to apply and can't read.
fn readable(
    view: View,
    events: &[(Arc<RecordedEvent>, Result<Happened, Obstacle>)],
) -> Result<Vec<Fact<'_>>, (usize, Obstacle)> {
    let mut facts = Vec::with_capacity(events.len());
    for (index, (recorded, happened)) in events.iter().enumerate() {
        match happened {
            Ok(happened) => facts.push(Fact { recorded, happened }),
            Err(Obstacle::Poison(_)) if view.ignores(recorded) => {}
            Err(obstacle) => return Err((index, obstacle.clone())),
        }
    }
    Ok(facts)
}

/// Loads the rows that the events read and that are not there yet.
async fn load(session: &mut Session, view: View, rows: &mut Rows, facts: &[Fact<'_>]) -> Result<(), StoreError> {
    let mut missing: HashMap<&'static str, (&'static Table, HashSet<Cells>)> = HashMap::new();
    let mut born = HashSet::new();
    for fact in facts {
        if fact.is_birth() {
            born.insert(fact.tenant());
        }
        let Some((table, key)) = view.reads(fact) else { continue };
        if !rows.lacks(table, &key) {
            continue;
        }
        if born.contains(&fact.tenant()) {
            // Every row is some tenant's, and this one begins in this batch.
            rows.loaded(table, vec![key], Vec::new());
        } else {
            missing.entry(table.name).or_insert_with(|| (table, HashSet::new())).1.insert(key);
        }
    }
    for (table, keys) in missing.into_values() {
        let keys: Vec<Cells> = keys.into_iter().collect();
        let found = session.load(table, rows.generation(), keys.clone()).await?;
        rows.loaded(table, keys, found);
    }
    Ok(())
}

pub(crate) fn problem_of(event: &RecordedEvent, obstacle: &Obstacle) -> Problem {
    let kind = match obstacle {
        Obstacle::Unknown => ProblemKind::UnknownEvent,
        Obstacle::Poison(_) => ProblemKind::Poison,
    };
    Problem {
        kind,
        position: Some(event.position),
        event_type: Some(event.event_type.clone().into_owned()),
        error: obstacle.to_string(),
        since: Utc::now(),
        attempts: 1,
    }
}

/// The problem of an event whose rows the database refuses.
pub(crate) fn refused(page: &Page, position: Position, error: &StoreError) -> Option<Problem> {
    let (event, _) = page.from(position).first()?;
    Some(problem_of(event, &Obstacle::poison(error)))
}
