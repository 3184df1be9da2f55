//! Which instance exports: a row in the database, held for a few seconds at a time. Kafka's fencing is the second lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::batch::{Session, Store, StoreError};

/// For how long the row is held.
const HELD_FOR: Duration = Duration::from_secs(8);
/// How often it is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(2);
/// The row.
const NAME: &str = "billing";

/// The right to export, as long as it is renewed. Given back when dropped after [`Lease::release`].
pub(super) struct Lease {
    term: Arc<Term>,
    renewal: JoinHandle<()>,
    store: Store,
    holder: Uuid,
    /// Counts the holders.
    pub generation: u64,
}

/// How long it is held for certain.
pub(super) struct Term {
    born: Instant,
    /// In milliseconds after `born`.
    until_ms: AtomicU64,
    ended: AtomicBool,
}

impl Term {
    /// Whether nobody else can hold it now. Counted from before the database was asked, on a clock that goes on while the
    /// process is frozen.
    pub fn is_held(&self) -> bool {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        !self.ended.load(Ordering::Acquire) && now < self.until_ms.load(Ordering::Acquire)
    }

    fn extend(&self, asked: Instant) {
        let until = asked.saturating_duration_since(self.born) + HELD_FOR;
        self.until_ms.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }
}

impl Lease {
    /// Takes the row if nobody holds it.
    pub async fn take(store: &Store, holder: Uuid) -> Result<Option<Self>, StoreError> {
        let mut session = store.session().await?;
        let asked = Instant::now();
        let Some(generation) = session.take_lease(NAME, holder, HELD_FOR).await? else { return Ok(None) };
        let term = Arc::new(Term { born: asked, until_ms: AtomicU64::new(0), ended: AtomicBool::new(false) });
        term.extend(asked);
        let renewal = tokio::spawn(renew(Arc::clone(&term), session, holder));
        Ok(Some(Self { term, renewal, store: store.clone(), holder, generation }))
    }

    pub fn term(&self) -> Arc<Term> {
        Arc::clone(&self.term)
    }

    /// Lets another instance have it at once.
    pub async fn release(self) {
        self.renewal.abort();
        self.term.ended.store(true, Ordering::Release);
        let released = async { self.store.session().await?.release_lease(NAME, self.holder).await };
        if let Err(error) = released.await {
            tracing::debug!(%error, "the lease was not given back: it ends by itself");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn renew(term: Arc<Term>, mut session: Session, holder: Uuid) {
    loop {
        tokio::time::sleep(RENEWED_EVERY).await;
        let asked = Instant::now();
        match session.take_lease(NAME, holder, HELD_FOR).await {
            Ok(Some(_)) => term.extend(asked),
            Ok(None) => {
                term.ended.store(true, Ordering::Release);
                return;
            }
            Err(error) => tracing::debug!(%error, "the lease of the billing export was not renewed"),
        }
    }
}
