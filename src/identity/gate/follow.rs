//! Following the log. Not through its feed: the gate must also know when nothing was there to read.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tenure_event_log::{Position, RecordedEvent};
use tokio::task::JoinHandle;

use super::tokens::Tokens;
use super::{GateError, Inner, Seen};

/// How often the log is looked at for other instances' commits; this instance's own reach the gate at once, from memory.
const POLL: Duration = Duration::from_millis(100);
/// A read that takes longer is given up, so that a connection that hangs does not hold the gate for ever.
const PATIENCE: Duration = Duration::from_secs(2);
/// Events per read.
const PAGE: usize = 1_000;

/// One read of the log.
pub(super) struct Page {
    /// Whether there was no more.
    pub at_end: bool,
}

impl Seen {
    fn of(event: &RecordedEvent) -> Self {
        let RecordedEvent { position, stream, sequence, recorded_at, .. } = event;
        Self { position: *position, stream: stream.clone(), sequence: *sequence, recorded_at: *recorded_at }
    }
}

impl Inner {
    /// Reads once from where the gate is, and takes over what is there. The last event that it has is read again: where a
    /// failover lost the log's tail, others stand in its place, and would never be missed.
    pub async fn read_page(&self) -> Result<Page, GateError> {
        let asked = Instant::now();
        let position = self.position.reached();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let last = last.filter(|last| last.position == position);
        let after = if last.is_some() { Position::new(position.get() - 1) } else { position };
        let events = self.log.read(after, PAGE).await?;
        let (known, new) = events.split_at(usize::from(last.is_some()).min(events.len()));
        let holds = known.first().map(Seen::of) == last;
        self.rewritten.store(if holds { 0 } else { position.get() }, Ordering::Release);
        if !holds {
            return Err(GateError::Rewritten(position));
        }
        let at_end = events.len() < PAGE;
        self.take_over(new.iter());
        if at_end {
            let fresh_at = asked.saturating_duration_since(self.born).as_millis();
            self.fresh_at_ms.fetch_max(u64::try_from(fresh_at).unwrap_or(u64::MAX), Ordering::AcqRel);
        }
        Ok(Page { at_end })
    }

    /// Takes over what this instance has just committed, as far as it follows without a gap.
    fn take_recent(&self) {
        loop {
            let events = self.log.recent(self.position.reached(), PAGE);
            if events.is_empty() {
                return;
            }
            self.take_over(events.iter().map(AsRef::as_ref));
        }
    }

    fn take_over<'a>(&self, events: impl Iterator<Item = &'a RecordedEvent>) {
        let mut last = None;
        for event in events {
            let applied = self.tenants.write().unwrap_or_else(PoisonError::into_inner).apply(event);
            if applied.deleted {
                self.log.forget_keys(event.tenant_id);
            }
            if let Some(unreadable) = applied.unreadable {
                let error = &unreadable as &dyn std::error::Error;
                tracing::error!(tenant.id = %event.tenant_id, error, "this tenant's people are turned away");
            }
            if Tokens::concerns(event) {
                let unreadable = self.tokens.write().unwrap_or_else(PoisonError::into_inner).apply(event);
                if let Some(unreadable) = unreadable {
                    let error = &unreadable as &dyn std::error::Error;
                    tracing::error!(token.id = event.stream.aggregate_id, error, "this access token is turned away");
                }
            }
            last = Some(event);
        }
        if let Some(last) = last {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen::of(last));
            self.position.set(last.position);
        }
    }
}

/// Follows the log until it is stopped, or the last gate is gone.
pub(super) fn spawn(inner: &Arc<Inner>) -> JoinHandle<()> {
    let weak = Arc::downgrade(inner);
    let mut commits = inner.log.local_head();
    tokio::spawn(async move {
        let mut failing = false;
        // The log itself is asked at intervals, however much this instance commits: only it knows of the others' commits.
        let mut ask_at = tokio::time::Instant::now();
        loop {
            // Before the look, so that a commit during it is not waited for.
            let head = *commits.borrow_and_update();
            let Some(inner) = weak.upgrade() else { return };
            inner.take_recent();
            if inner.position.reached() >= head && tokio::time::Instant::now() < ask_at {
                drop(inner);
                tokio::select! {
                    Ok(()) = commits.changed() => {}
                    () = tokio::time::sleep_until(ask_at) => {}
                }
                continue;
            }
            let page = tokio::time::timeout(PATIENCE, inner.read_page()).await;
            drop(inner);
            ask_at = tokio::time::Instant::now() + POLL;
            let failed = match page {
                Ok(Ok(page)) => {
                    if !page.at_end {
                        ask_at = tokio::time::Instant::now();
                    }
                    false
                }
                Ok(Err(error)) => {
                    if !failing {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, "the gate can't read the log; tenants' people are turned away");
                    }
                    true
                }
                Err(_) => {
                    if !failing {
                        tracing::error!("the log does not answer the gate; tenants' people are turned away");
                    }
                    true
                }
            };
            if failing && !failed {
                tracing::info!("the gate reads the log again");
            }
            failing = failed;
            if failed {
                tokio::time::sleep_until(ask_at).await;
            }
        }
    })
}
