//! The loop: hold the lease, find the place, send page after page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tenure_event_log::Position;
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use super::brokers::clients::Clients;
use super::brokers::connection::Connection;
use super::lease::{Lease, Term};
use super::pages::{self, Anchor, Found};
use super::resume::hanging::Watch;
use super::resume::ledger;
use super::resume::progress::Progress;
use super::sending::record::{Envelope, Record};
use super::sending::size::Size;
use super::sending::transaction::Transactions;
use super::session::KeptSession;
use super::settings::{ExportSettings, Step};
use super::status::{Board, ExportState};
use super::trouble::{Trouble, blocking, chain};
use crate::Views;
use crate::billing::BillingEvent;

/// How often a waiting instance tries to get the lease, and a waiting worker looks whether it still has it.
const LOOK: Duration = Duration::from_secs(1);
/// How long events are gathered for a transaction after the first one, when there is no lag.
const GATHERED_FOR: Duration = Duration::from_millis(50);
/// How long a database may take at a stop to hear how far it has got, and that the lease is given back.
const RELEASED_WITHIN: Duration = Duration::from_secs(1);
/// Waits after failures.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// What comes next, ready to be sent.
enum Ready {
    /// A page of events; full if there may be more.
    Records { records: Vec<Record>, last: Anchor, is_full: bool },
    /// Nothing more up to the position that the view had reached.
    Nothing { passed: Position },
    /// The event exported last is not where it was.
    Displaced,
}

pub(super) struct Worker {
    pub settings: Arc<ExportSettings>,
    pub views: Views,
    pub board: Arc<Board>,
    stop: watch::Receiver<bool>,
    envelope: Envelope,
    size: Size,
    /// This process.
    holder: Uuid,
    term: Option<Arc<Term>>,
    /// For the lease, which is asked for every second where another instance has it.
    lease: Arc<Mutex<KeptSession>>,
    /// For the database's notes.
    pub ledger: Mutex<KeptSession>,
}

impl Worker {
    pub fn new(settings: Arc<ExportSettings>, views: Views, board: Arc<Board>, stop: watch::Receiver<bool>) -> Self {
        let (envelope, size) = (Envelope::new(&settings), Size::default());
        let (holder, lease, ledger) = (Uuid::now_v7(), Arc::default(), Mutex::default());
        Self { settings, views, board, stop, envelope, size, holder, term: None, lease, ledger }
    }

    pub async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while !*self.stop.borrow() {
            let began = Instant::now();
            let lease = async { Ok(Lease::take(self.views.store(), &self.lease, self.holder).await) };
            let Ok(lease) = self.unless_stopped(lease).await else { break };
            let (state, reason) = match lease {
                Ok(None) => {
                    self.board.state(ExportState::Standby, None);
                    self.wait(LOOK).await;
                    continue;
                }
                Err(error) => (ExportState::Connecting, format!("the lease can't be taken: {}", chain(&error))),
                Ok(Some(lease)) => {
                    tracing::info!(generation = lease.generation, "this instance exports billing events");
                    self.term = Some(lease.term());
                    let trouble = self.export().await;
                    self.term = None;
                    // A database that does not answer finds out by itself.
                    drop(tokio::time::timeout(RELEASED_WITHIN, lease.release()).await);
                    match trouble {
                        Trouble::Stopping => break,
                        Trouble::LeaseLost => (ExportState::Connecting, "the lease was lost".to_owned()),
                        Trouble::Void(reason) | Trouble::Retry(reason) => (ExportState::Connecting, reason),
                        Trouble::Refused(reason) => (ExportState::Stopped, reason),
                    }
                }
            };
            if *self.stop.borrow() {
                break;
            }
            self.board.failed();
            self.board.state(state, Some(reason));
            // What went well for a while may be tried again at once.
            pause = if began.elapsed() > LAST_PAUSE { FIRST_PAUSE } else { (pause * 2).min(LAST_PAUSE) };
            self.wait(pause).await;
        }
    }

    /// Exports until something is in the way.
    async fn export(&self) -> Trouble {
        let connection = Connection::default();
        let clients = match Clients::open(&self.settings, &connection) {
            Ok(clients) => clients,
            Err(trouble) => return trouble,
        };
        let (trouble, transactions) = match self.open(&connection).await {
            Ok(transactions) => (self.export_with(&clients, &transactions).await, Some(transactions)),
            Err(trouble) => (trouble, None),
        };
        // Closing them blocks for a moment.
        match blocking(move || drop((transactions, clients))).await {
            Ok(()) => trouble,
            Err(panicked) => panicked,
        }
    }

    async fn export_with(&self, clients: &Clients, transactions: &Arc<Transactions>) -> Trouble {
        let mut failed_before = false;
        loop {
            let committed = self.board.read().transactions;
            // Boxed, because it is large and over soon.
            let followed = match Box::pin(self.establish(clients, transactions)).await {
                Ok(place) => self.follow(clients, transactions, place).await,
                Err(trouble) => Err(trouble),
            };
            match followed {
                Err(Trouble::Void(reason)) => {
                    let went_well = self.board.read().transactions > committed;
                    if failed_before && !went_well {
                        return Trouble::Retry(reason);
                    }
                    // The producer is good for another one.
                    failed_before = true;
                    self.board.failed();
                    self.board.state(ExportState::Connecting, Some(reason));
                    if let Err(trouble) = self.pause(FIRST_PAUSE).await {
                        return trouble;
                    }
                }
                Err(trouble) => return trouble,
                Ok(never) => match never {},
            }
        }
    }

    async fn open(&self, connection: &Connection) -> Result<Arc<Transactions>, Trouble> {
        let (settings, connection) = (Arc::clone(&self.settings), connection.clone());
        let (wanted, board) = (self.wanted(), Arc::clone(&self.board));
        let report =
            move |reason| board.state(ExportState::Connecting, Some(format!("the brokers don't answer: {reason}")));
        let opened = blocking(move || Transactions::open(&settings, &connection, wanted, report)).await?;
        Ok(Arc::new(opened?))
    }

    /// Sends what follows, for ever.
    async fn follow(
        &self,
        clients: &Clients,
        transactions: &Arc<Transactions>,
        mut place: Progress,
    ) -> Result<Infallible, Trouble> {
        self.board.stands_at(place.position());
        self.board.state(ExportState::Exporting, None);
        let mut ahead: Option<Ready> = None;
        let (mut looked, mut watch) = (Instant::now(), Watch::new());
        loop {
            watch.look(self, clients, &place).await?;
            if looked.elapsed() > LOOK {
                self.ignore_order().await?;
                looked = Instant::now();
            }
            let ready = match ahead.take() {
                Some(ready) => ready,
                None => self.ready(&place, self.size.get()).await?,
            };
            let (records, last, is_full) = match ready {
                Ready::Records { records, last, is_full } => (records, last, is_full),
                Ready::Nothing { passed } => {
                    self.board.passed(passed);
                    self.board.state(ExportState::Exporting, None);
                    if self.events_after(passed).await? {
                        // A lonely event waits for its neighbours: a transaction for each would cost the brokers more.
                        self.pause(GATHERED_FOR).await?;
                    }
                    continue;
                }
                Ready::Displaced => {
                    self.displaced(&place).await?;
                    continue;
                }
            };
            let next = Progress { position: last.position.get(), event_id: Some(last.event_id), ..place.clone() };
            let (count, began) = (records.len(), Instant::now());
            let sent = self.commit(transactions, records, next.clone());
            let sent = if is_full {
                // The next page is made ready while the brokers take this one.
                let (sent, page) = tokio::join!(sent, self.ready(&next, self.size.get()));
                ahead = page.ok();
                sent
            } else {
                sent.await
            };
            place = sent.inspect_err(|_| self.size.failed())?;
            self.board.committed(count, place.position());
            self.board.state(ExportState::Exporting, None);
            self.settings.observe(Step::BeforeCopy);
            self.remember(&place).await;
            self.size.committed(began.elapsed(), is_full);
        }
    }

    /// The next page, as records.
    async fn ready(&self, place: &Progress, limit: usize) -> Result<Ready, Trouble> {
        let (events, passed) = match self.page(place, limit).await? {
            Found::Events { events, passed } => (events, passed),
            Found::Displaced => return Ok(Ready::Displaced),
        };
        let Some(last) = events.last() else { return Ok(Ready::Nothing { passed }) };
        let last = Anchor { position: last.position, event_id: last.event_id };
        let is_full = events.len() >= limit;
        Ok(Ready::Records { records: self.records(events).await?, last, is_full })
    }

    pub(super) async fn records(&self, events: Vec<BillingEvent>) -> Result<Vec<Record>, Trouble> {
        let envelope = self.envelope.clone();
        let records =
            blocking(move || events.iter().map(|event| envelope.record(event)).collect::<Result<Vec<_>, _>>());
        records.await?.map_err(Trouble::retry)
    }

    async fn page(&self, place: &Progress, limit: usize) -> Result<Found, Trouble> {
        let anchor = place.event_id.filter(|_| place.position > place.since);
        let anchor = anchor.map(|event_id| Anchor { position: place.position(), event_id });
        let page = async { pages::after(&self.views, place.position(), anchor, limit).await.map_err(Trouble::retry) };
        self.unless_stopped(page).await
    }

    /// The view lacks the event that was exported last: it is behind for a moment, or the log was cut. Or it does not show that
    /// event at all, and somebody has to hear of it.
    async fn displaced(&self, place: &Progress) -> Result<(), Trouble> {
        let there = self.event_at(place.position()).await?;
        if there != place.event_id {
            return Err(Trouble::Void(format!("the event at position {} is not in the log any more", place.position)));
        }
        let reason =
            format!("the billing view does not show the event at position {}, exported last, yet", place.position);
        self.board.state(ExportState::Exporting, Some(reason));
        self.pause(FIRST_PAUSE).await
    }

    /// The billing id of the log's event there.
    pub(super) async fn event_at(&self, position: Position) -> Result<Option<Uuid>, Trouble> {
        self.unless_stopped(async { pages::event_at(&self.views, position).await.map_err(Trouble::retry) }).await
    }

    pub(super) async fn commit(
        &self,
        transactions: &Arc<Transactions>,
        records: Vec<Record>,
        progress: Progress,
    ) -> Result<Progress, Trouble> {
        let (transactions, wanted) = (Arc::clone(transactions), self.wanted());
        let committed = blocking(move || transactions.commit(records, progress, wanted)).await?;
        committed.map_err(|failure| if *self.stop.borrow() { Trouble::Stopping } else { failure.into() })
    }

    /// The copy is for comparison only: the export goes on without it. A stop waits for it, since the next start compares, but
    /// only for a moment.
    pub(super) async fn remember(&self, progress: &Progress) {
        // Another instance may be further by now.
        if self.term.as_ref().is_none_or(|term| !term.is_held()) {
            return;
        }
        let mut session = self.ledger.lock().await;
        let written = async { ledger::remember(session.open(self.views.store()).await?, progress).await };
        let mut stop = self.stop.clone();
        let given_up = async {
            // Without a sender there is no stop to wait for any more.
            let _ = stop.wait_for(|stop| *stop).await;
            tokio::time::sleep(RELEASED_WITHIN).await;
        };
        tokio::select! {
            written = written => if let Err(error) = written {
                tracing::debug!(%error, "the copy of the export's progress was not written");
            },
            () = given_up => {}
        }
    }

    /// What comes out, unless the service stops first. A thread that blocks meanwhile ends by itself, and nobody waits.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        let mut stop = self.stop.clone();
        tokio::select! {
            done = work => done,
            _ = stop.wait_for(|stop| *stop) => Err(Trouble::Stopping),
        }
    }

    /// Whether to go on, for threads that block.
    pub(super) fn wanted(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let (term, stop) = (self.term.clone(), self.stop.clone());
        move || term.as_ref().is_some_and(|term| term.is_held()) && !*stop.borrow()
    }

    /// Waits for events, not for longer than it takes to look at other things again; answers whether there may be some.
    async fn events_after(&self, passed: Position) -> Result<bool, Trouble> {
        tokio::select! {
            () = self.views.billing_passed(passed) => Ok(true),
            waited = self.pause(LOOK) => waited.map(|()| false),
        }
    }

    /// Waits, as long as it may export.
    pub(super) async fn pause(&self, time: Duration) -> Result<(), Trouble> {
        if self.wait(time).await {
            return Err(Trouble::Stopping);
        }
        if self.term.as_ref().is_some_and(|term| term.is_held()) { Ok(()) } else { Err(Trouble::LeaseLost) }
    }

    /// Waits, unless the service stops; answers whether it does.
    async fn wait(&self, time: Duration) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => true,
            () = tokio::time::sleep(time) => false,
        }
    }
}
