//! Following the log. Not through its feed: the gate must also know when nothing was there to read.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::{GateError, Inner};

/// How often the log is looked at for other instances' commits; this instance's own wake the gate at once.
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

impl Inner {
    /// Reads once from where the gate is, and takes over what is there.
    pub async fn read_page(&self) -> Result<Page, GateError> {
        let asked = Instant::now();
        let after = *self.position.borrow();
        let events = self.log.read(after, PAGE).await?;
        let at_end = events.len() < PAGE;
        for event in events {
            let (tenant, position) = (event.tenant_id, event.position);
            let applied = self.tenants.write().unwrap_or_else(PoisonError::into_inner).apply(event);
            if applied.deleted {
                self.log.forget_keys(tenant);
            }
            if let Some(unreadable) = applied.unreadable {
                let error = &unreadable as &dyn std::error::Error;
                tracing::error!(tenant.id = %tenant, error, "this tenant's people are turned away");
            }
            self.position.send_replace(position);
        }
        if at_end {
            let fresh_at = asked.saturating_duration_since(self.born).as_millis();
            self.fresh_at_ms.fetch_max(u64::try_from(fresh_at).unwrap_or(u64::MAX), Ordering::AcqRel);
        }
        Ok(Page { at_end })
    }
}

/// Follows the log until the last gate is gone.
pub(super) fn spawn(inner: &Arc<Inner>) {
    let weak = Arc::downgrade(inner);
    let mut commits = inner.log.local_head();
    tokio::spawn(async move {
        let mut failing = false;
        loop {
            // Before the read, so that a commit during it is not waited for.
            commits.borrow_and_update();
            let Some(inner) = weak.upgrade() else { return };
            let page = tokio::time::timeout(PATIENCE, inner.read_page()).await;
            drop(inner);
            let failed = match page {
                Ok(Ok(page)) if !page.at_end => continue,
                Ok(Ok(_)) => false,
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
            tokio::select! {
                Ok(()) = commits.changed() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    });
}
