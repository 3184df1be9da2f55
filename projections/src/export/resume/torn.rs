//! Transactions that are torn: some partitions have their end, others never got it.
//!
//! That a transaction is committed everywhere or nowhere, the brokers owe to their own log; one that loses it half-way (see
//! `hanging.rs`) has shown a part to readers, and the rest was taken back. So each partition is asked how far its readers have
//! come, and one transaction makes up for what they lack: every event of the torn stretch that its partition does not show
//! yet. If that one fails, nothing has changed, and the next look finds the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_event_log::Position;

use super::progress::Progress;
use super::rescan::{self, Placed, RescanError};
use super::written::{Missing, Written};
use crate::export::brokers::clients::Clients;
use crate::export::brokers::topics::Topic;
use crate::export::pages::{self, Anchor};
use crate::export::sending::partition;
use crate::export::sending::transaction::Transactions;
use crate::export::settings::ExportSettings;
use crate::export::status::ExportState;
use crate::export::trouble::{Trouble, blocking};
use crate::export::worker::Worker;

/// How often it is looked whether a view has come far enough.
const VIEW_LOOKED_AT_EVERY: Duration = Duration::from_millis(250);

/// How far the readers of the partitions have come, where that is not what the progress says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    /// The events of a partition up to here are in it; of partitions that are not named, up to the progress.
    seen: BTreeMap<i32, u64>,
    /// The last event that a partition shows, where that is beyond the progress.
    pub ahead: Option<Anchor>,
    /// The last record that readers see, of the partitions that are named.
    written: BTreeMap<i32, Option<Written>>,
}

/// What a partition shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The last event of this cell that readers see, where one was looked for and found.
    last: Option<Placed>,
    /// The first event that it lacks of those that the progress counts.
    lacks: Option<Position>,
}

impl Torn {
    /// Nothing if every partition agrees with the progress.
    fn of(progress: &Progress, shown: &BTreeMap<i32, Shown>) -> Option<Self> {
        let mut torn = Self { seen: BTreeMap::new(), ahead: None, written: BTreeMap::new() };
        for (partition, Shown { last, lacks }) in shown {
            let ahead = last.filter(|last| last.event.position > progress.position());
            let seen = match (lacks, ahead) {
                // Before that the export to this topic had not begun.
                (Some(lacks), _) => lacks.get().saturating_sub(1).max(progress.since),
                (None, Some(ahead)) => ahead.event.position.get(),
                (None, None) => continue,
            };
            let further = ahead.map(|ahead| ahead.event).filter(|_| lacks.is_none());
            torn.ahead = further.into_iter().chain(torn.ahead).max_by_key(|event| event.position);
            torn.seen.insert(*partition, seen);
            let written = |last: Placed| Written { offset: last.offset, position: last.event.position.get() };
            torn.written.insert(*partition, last.map(written));
        }
        (!torn.seen.is_empty()).then_some(torn)
    }

    /// After which position the log has events that some partition lacks.
    fn from(&self, progress: &Progress) -> Position {
        Position::new(self.seen.values().copied().min().unwrap_or(progress.position).min(progress.position))
    }

    /// Up to where every partition has everything when it is mended.
    fn to(&self, progress: &Progress) -> Position {
        self.ahead.map_or(progress.position(), |ahead| ahead.position)
    }

    /// Whether a partition has the event of this position, which is none behind [`Torn::to`].
    fn is_seen(&self, progress: &Progress, partition: i32, position: u64) -> bool {
        position <= self.seen.get(&partition).copied().unwrap_or(progress.position)
    }

    /// The progress when it is mended, but for the records that this takes.
    fn mended(&self, progress: &Progress) -> Progress {
        let mut mended = progress.clone();
        if let Some(Anchor { position, event_id }) = self.ahead {
            mended = Progress { position: position.get(), event_id: Some(event_id), ..mended };
        }
        for (partition, written) in &self.written {
            match written {
                Some(written) => mended.written.insert(*partition, *written),
                None => mended.written.remove(partition),
            };
        }
        mended
    }
}

impl Worker {
    /// Looks whether readers of the billing topic see what the progress says, neither less nor more. `uncommitted` is the
    /// progress that was not to count any more: what it says that was written may be seen all the same.
    pub(crate) async fn torn(
        &self,
        clients: &Clients,
        transactions: &Arc<Transactions>,
        progress: &Progress,
        topic: &Topic,
        uncommitted: &[Progress],
    ) -> Result<Option<Torn>, Trouble> {
        let mut untold: BTreeMap<i32, i64> = BTreeMap::new();
        let mut latest: BTreeMap<i32, i64> = offsets(progress).collect();
        for other in uncommitted.iter().filter(|other| other.is_akin(progress)) {
            for (partition, offset) in offsets(other).filter(|(partition, offset)| {
                progress.written.get(partition).is_none_or(|written| written.offset < *offset)
            }) {
                untold.entry(partition).and_modify(|first| *first = offset.min(*first)).or_insert(offset);
                latest.entry(partition).and_modify(|last| *last = offset.max(*last)).or_insert(offset);
            }
        }
        self.readable(clients, transactions, topic.partitions, latest).await?;
        let committed = self.missing(&clients.consumer, progress, topic).await?;
        let missing: BTreeMap<i32, Written> =
            committed.into_iter().map(|Missing { partition, record }| (partition, record)).collect();
        let mut shown = BTreeMap::new();
        for partition in missing.keys().chain(untold.keys()) {
            let (missing, untold) = (missing.get(partition).copied(), untold.get(partition).copied());
            shown.insert(*partition, clients.shown(&self.settings, *partition, missing, untold, self.wanted()).await?);
        }
        let torn = Torn::of(progress, &shown);
        if let Some(torn) = &torn {
            tracing::warn!(?torn, "readers of the billing topic have seen a part of a transaction");
        }
        Ok(torn)
    }

    /// Writes what partitions lack, in one transaction.
    pub(crate) async fn mend(
        &self,
        transactions: &Arc<Transactions>,
        progress: &Progress,
        torn: &Torn,
    ) -> Result<Progress, Trouble> {
        let (from, to) = (torn.from(progress), torn.to(progress));
        while self.views.billing_position() < to {
            let reason = format!("the billing view has not reached position {to}, exported last, yet");
            self.board.state(ExportState::Connecting, Some(reason));
            self.pause(VIEW_LOOKED_AT_EVERY).await?;
        }
        let events = async { pages::between(&self.views, from, to).await.map_err(Trouble::retry) };
        let mut records = self.records(self.unless_stopped(events).await?).await?;
        records
            .retain(|record| !torn.is_seen(progress, partition::of(&record.key, progress.partitions), record.position));
        tracing::warn!(%from, %to, records = records.len(), "the events that partitions lack are sent again");
        let mended = self.commit(transactions, records, torn.mended(progress)).await?;
        self.remember(&mended).await;
        Ok(mended)
    }
}

impl Clients {
    /// Asks a partition what readers see, where `missing` was written last and is not seen, or `untold` is the first place
    /// behind the progress where something may be seen.
    async fn shown(
        &self,
        settings: &Arc<ExportSettings>,
        partition: i32,
        missing: Option<Written>,
        untold: Option<i64>,
        wanted: impl Fn() -> bool + Send + 'static,
    ) -> Result<Shown, Trouble> {
        let (clients, settings) = (self.clone(), Arc::clone(settings));
        let look = move || -> Result<Shown, RescanError> {
            let (topic, source) = (&settings.topic, &settings.source());
            let Some(missing) = missing else {
                let from = untold.unwrap_or_default();
                let last = rescan::last_since(&clients.consumer, topic, partition, from, source, &wanted)?;
                return Ok(Shown { last, lacks: None });
            };
            let last = rescan::last_around(&clients.consumer, topic, partition, missing.offset, source, &wanted)?;
            let behind = last.map_or(0, |last| last.offset + 1);
            if behind > missing.offset {
                // It was made up for already, by a transaction that was torn itself.
                return Ok(Shown { last, lacks: None });
            }
            // Whatever was tried since the last event that is seen began with the one that is due.
            let range = behind..=missing.offset;
            let lacks = rescan::lowest_within(&clients.all, topic, partition, range, source, &wanted)?;
            Ok(Shown { last, lacks: lacks.or(Some(Position::new(missing.position))) })
        };
        blocking(look).await?.map_err(Trouble::retry)
    }
}

fn offsets(progress: &Progress) -> impl Iterator<Item = (i32, i64)> {
    progress.written.iter().map(|(partition, written)| (*partition, written.offset))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Up to position 10; partition 0 has it last, at offset 4, and partition 1 the one before.
    fn progress() -> Progress {
        Progress {
            log_id: Uuid::from_u128(1),
            position: 10,
            event_id: Some(Uuid::from_u128(10)),
            since: 2,
            topic: "tenure.billing.v1".to_owned(),
            partitions: 3,
            written: BTreeMap::from([
                (0, Written { offset: 4, position: 10 }),
                (1, Written { offset: 7, position: 9 }),
            ]),
        }
    }

    fn at(offset: i64, position: u64) -> Placed {
        let event_id = Uuid::from_u128(position.into());
        Placed { offset, event: Anchor { position: Position::new(position), event_id } }
    }

    fn torn(shown: &[(i32, Shown)]) -> Option<Torn> {
        Torn::of(&progress(), &shown.iter().copied().collect())
    }

    #[test]
    fn what_was_aborted_everywhere_is_not_torn() {
        assert_eq!(torn(&[]), None);
        assert_eq!(
            torn(&[(0, Shown { last: Some(at(4, 10)), lacks: None }), (2, Shown { last: None, lacks: None })]),
            None
        );
    }

    #[test]
    fn partitions_that_lack_something_get_it_and_no_others() {
        let shown = Shown { last: Some(at(5, 4)), lacks: Some(Position::new(6)) };
        let (torn, progress) = (torn(&[(1, shown)]).unwrap(), progress());
        assert_eq!((torn.from(&progress).get(), torn.to(&progress).get()), (5, 10));
        assert!(torn.is_seen(&progress, 0, 6) && !torn.is_seen(&progress, 1, 6) && torn.is_seen(&progress, 1, 5));
        let mended = torn.mended(&progress);
        assert_eq!((mended.position, mended.written[&1]), (10, Written { offset: 5, position: 4 }));
        assert_eq!(mended.written[&0], progress.written[&0]);
    }

    #[test]
    fn a_partition_that_shows_nothing_lacks_what_came_since_the_beginning() {
        let (torn, progress) = (torn(&[(1, Shown { last: None, lacks: Some(Position::new(1)) })]).unwrap(), progress());
        assert_eq!(torn.from(&progress).get(), progress.since);
        assert!(!torn.mended(&progress).written.contains_key(&1));
    }

    #[test]
    fn where_some_are_ahead_the_others_catch_up_with_the_farthest() {
        let shown =
            [(0, Shown { last: Some(at(9, 15)), lacks: None }), (2, Shown { last: Some(at(3, 13)), lacks: None })];
        let (torn, progress) = (torn(&shown).unwrap(), progress());
        assert_eq!((torn.from(&progress).get(), torn.to(&progress).get()), (10, 15));
        assert!(torn.is_seen(&progress, 0, 15) && torn.is_seen(&progress, 2, 13));
        assert!(!torn.is_seen(&progress, 2, 14) && !torn.is_seen(&progress, 1, 11));
        let mended = torn.mended(&progress);
        assert_eq!((mended.position, mended.event_id), (15, Some(Uuid::from_u128(15))));
        assert_eq!(mended.written[&2], Written { offset: 3, position: 13 });
    }
}
