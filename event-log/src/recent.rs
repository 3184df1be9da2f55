//! The last events that this process committed, kept in memory: whoever follows the log closely need not read them back.
//!
//! It holds nothing that is not in the log, and is asked only for what follows a position without a gap. Where another
//! process committed in between, or the follower is too far behind, the log itself is read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::append::Appended;
use crate::engine::Prepared;
use crate::event::RecordedEvent;
use crate::position::Position;

/// A few batches: a follower that is further behind reads pages from the log anyhow.
const KEPT: usize = 4_096;

/// In position order, gaps included.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    events: Mutex<VecDeque<Arc<RecordedEvent>>>,
}

impl Recent {
    /// Takes over what a batch committed, in position order. What is older than the newest known is left out.
    pub fn committed(&self, appends: impl Iterator<Item = (Prepared, Appended)>) {
        let mut events = self.events();
        for (prepared, appended) in appends {
            if events.back().is_some_and(|newest| newest.position >= appended.first) {
                continue;
            }
            let mut position = appended.first;
            for stream in prepared.streams {
                for (event, sequence) in stream.events.into_iter().zip(stream.expected + 1..) {
                    events.push_back(Arc::new(RecordedEvent {
                        position,
                        stream: stream.stream.clone(),
                        sequence,
                        tenant_id: stream.tenant_id,
                        event_type: event.event_type,
                        event_version: event.event_version,
                        payload: event.payload,
                        metadata: event.metadata,
                        recorded_at: appended.recorded_at,
                    }));
                    position = position.next();
                }
            }
        }
        let surplus = events.len().saturating_sub(KEPT);
        events.drain(..surplus);
    }

    /// Up to `limit` events that follow a position without a gap; none if the next one is not known here.
    pub fn after(&self, position: Position, limit: usize) -> Vec<Arc<RecordedEvent>> {
        let events = self.events();
        let start = events.partition_point(|event| event.position <= position);
        let mut expected = position;
        let follows = |event: &&Arc<RecordedEvent>| {
            expected = expected.next();
            event.position == expected
        };
        events.range(start..).take_while(follows).take(limit).cloned().collect()
    }

    fn events(&self) -> MutexGuard<'_, VecDeque<Arc<RecordedEvent>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
