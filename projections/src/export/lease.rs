//! Which instance exports: a row in the database, held for a few seconds at a time. Kafka's fencing is the second lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::session::KeptSession;
use crate::batch::{Store, StoreError};

/// For how long the row is held.
const HELD_FOR: Duration = Duration::from_secs(8);
/// How often it is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(2);
/// How long the database may take to answer, a new connection included: after that another one may do better.
const ANSWERS_WITHIN: Duration = Duration::from_secs(6);
/// The row.
const NAME: &str = "billing";

/// The right to export, as long as it is renewed. Given back when dropped after [`Lease::release`].
pub(super) struct Lease {
    term: Arc<Term>,
    renewal: JoinHandle<()>,
    desk: Desk,
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
    pub async fn take(
        store: &Store,
        session: &Arc<Mutex<KeptSession>>,
        holder: Uuid,
    ) -> Result<Option<Self>, StoreError> {
        let desk = Desk { store: store.clone(), session: Arc::clone(session), holder };
        let (asked, Some(generation)) = desk.ask().await? else { return Ok(None) };
        let term = Arc::new(Term { born: asked, until_ms: AtomicU64::new(0), ended: AtomicBool::new(false) });
        term.extend(asked);
        let renewal = tokio::spawn(renew(Arc::clone(&term), desk.clone()));
        Ok(Some(Self { term, renewal, desk, generation }))
    }

    pub fn term(&self) -> Arc<Term> {
        Arc::clone(&self.term)
    }

    /// Lets another instance have it at once.
    pub async fn release(self) {
        self.renewal.abort();
        self.term.ended.store(true, Ordering::Release);
        if let Err(error) = self.desk.give_back().await {
            tracing::debug!(%error, "the lease was not given back: it ends by itself");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Where the row is asked for.
#[derive(Clone)]
struct Desk {
    store: Store,
    session: Arc<Mutex<KeptSession>>,
    holder: Uuid,
}

impl Desk {
    /// Takes the row, or holds it for longer: the generation of holders, `None` while another has it, and from when on the
    /// time counts.
    async fn ask(&self) -> Result<(Instant, Option<u64>), StoreError> {
        let mut session = self.session.lock().await;
        let asked = Instant::now();
        let answer = async { session.open(&self.store).await?.take_lease(NAME, self.holder, HELD_FOR).await };
        // Who is not waited for any more is given up, and the next one is a new one.
        let answer = tokio::time::timeout(ANSWERS_WITHIN, answer).await;
        Ok((asked, answer.map_err(StoreError::unavailable)??))
    }

    async fn give_back(&self) -> Result<(), StoreError> {
        self.session.lock().await.open(&self.store).await?.release_lease(NAME, self.holder).await
    }
}

async fn renew(term: Arc<Term>, desk: Desk) {
    loop {
        tokio::time::sleep(RENEWED_EVERY).await;
        match desk.ask().await {
            Ok((asked, Some(_))) => term.extend(asked),
            Ok((_, None)) => {
                term.ended.store(true, Ordering::Release);
                return;
            }
            Err(error) => tracing::debug!(%error, "the lease of the billing export was not renewed"),
        }
    }
}
