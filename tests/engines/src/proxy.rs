//! A TCP proxy before a server: a network that loses, delays and swallows what it is told to.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};

/// What becomes of the writer's next statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It is delivered and answered; then the connection breaks, and the answer with it.
    LoseAnswer,
    /// It is delivered, and the connection breaks at once: the server may not even have begun.
    LoseAnswerAtOnce,
    /// As before, and nobody can connect any more.
    LoseAnswerAndGoDown,
    /// The connection breaks and the statement is never delivered.
    LoseStatement,
    /// The connection breaks and the statement is delivered when the test says so.
    HoldStatement,
}

/// A network between a server and its clients, for example a log's writer. It ends with the runtime.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: String,
    next: std::sync::Mutex<Option<Fault>>,
    faults: AtomicUsize,
    is_up: watch::Sender<bool>,
    is_silent: watch::Sender<bool>,
    /// How long each packet is on its way, in milliseconds.
    latency: AtomicU64,
    /// How many bytes pass in a second, on each connection; 0 for as many as there are.
    bandwidth: AtomicU64,
    /// How long it takes to connect, in milliseconds.
    slowness: AtomicU64,
    held: Mutex<Option<Held>>,
}

/// A statement whose sender is gone, and the connection on which it will arrive.
#[derive(Debug)]
struct Held {
    statement: Vec<u8>,
    server: TcpStream,
}

impl Proxy {
    /// A network to the server of this `postgres://` URL.
    ///
    /// # Panics
    ///
    /// When the URL can't be understood, or no port is free.
    pub async fn to(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().expect("a postgres:// URL");
        let (port, shared) = serve(format!("{}:{}", options.get_host(), options.get_port())).await;
        let url = options.host("127.0.0.1").port(port).to_url_lossy().to_string();
        Self { url, shared }
    }

    /// A network to any server at `host:port`; its [`Proxy::url`] has that form, too. Faults of single statements need
    /// PostgreSQL.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn before(server: &str) -> Self {
        let (port, shared) = serve(server.to_owned()).await;
        Self { url: format!("127.0.0.1:{port}"), shared }
    }

    /// The server's URL, through this network.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What becomes of the next statement with which the writer appends.
    pub fn next(&self, fault: Fault) {
        *self.shared.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    /// How many of these faults have happened.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.shared.faults.load(Ordering::SeqCst)
    }

    /// From here on it takes so long to connect.
    pub fn slow_down(&self, delay: Duration) {
        self.shared.slowness.store(millis(delay), Ordering::SeqCst);
    }

    /// From here on each packet is so long on its way.
    pub fn delay(&self, latency: Duration) {
        self.shared.latency.store(millis(latency), Ordering::SeqCst);
    }

    /// From here on no more than this many bytes a second pass on each connection.
    pub fn narrow(&self, bandwidth: u64) {
        self.shared.bandwidth.store(bandwidth, Ordering::SeqCst);
    }

    /// Nothing arrives any more, in either direction, and nobody is told: connections stay open.
    pub fn fall_silent(&self) {
        self.shared.is_silent.send_replace(true);
    }

    /// What was swallowed arrives after all, as far as somebody is there to take it.
    pub fn speak_again(&self) {
        self.shared.is_silent.send_replace(false);
    }

    /// Breaks all connections and lets nobody connect.
    pub fn go_down(&self) {
        self.shared.is_up.send_replace(false);
    }

    /// Lets clients connect again.
    pub fn come_back(&self) {
        self.shared.is_up.send_replace(true);
    }

    /// Delivers the statement that was held, and answers what the server said to it.
    ///
    /// # Panics
    ///
    /// When nothing was held, or the server is gone.
    pub async fn deliver_held(&self) -> Vec<u8> {
        let mut held = self.shared.held.lock().await.take().expect("a held statement");
        held.server.write_all(&held.statement).await.expect("delivering a statement");
        let mut reply = vec![0; 65_536];
        let length = held.server.read(&mut reply).await.expect("the server's answer");
        reply.truncate(length);
        reply
    }
}

/// Starts to forward connections to the server at `host:port`, and answers on which port.
async fn serve(server: String) -> (u16, Arc<Shared>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("the listener's address").port();
    let shared = Arc::new(Shared {
        server,
        next: std::sync::Mutex::default(),
        faults: AtomicUsize::new(0),
        is_up: watch::Sender::new(true),
        is_silent: watch::Sender::new(false),
        latency: AtomicU64::new(0),
        bandwidth: AtomicU64::new(0),
        slowness: AtomicU64::new(0),
        held: Mutex::default(),
    });
    tokio::spawn({
        let shared = Arc::clone(&shared);
        async move {
            while let Ok((client, _)) = listener.accept().await {
                if *shared.is_up.borrow() {
                    tokio::spawn(Arc::clone(&shared).connect(client));
                }
            }
        }
    });
    (port, shared)
}

impl Shared {
    /// Forwards both ways until one end closes or the fault comes; returning breaks the connection.
    async fn connect(self: Arc<Self>, mut client: TcpStream) {
        tokio::time::sleep(Duration::from_millis(self.slowness.load(Ordering::SeqCst))).await;
        self.travel(0).await;
        let Ok(mut server) = TcpStream::connect(&self.server).await else { return };
        let mut is_up = self.is_up.subscribe();
        let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
        let mut statement = Vec::new();
        let mut is_writer = false;
        loop {
            tokio::select! {
                () = async { drop(is_up.wait_for(|up| !up).await) } => return,
                Ok(length) = server.read(&mut answered) => {
                    self.travel(length).await;
                    if length == 0 || client.write_all(&answered[..length]).await.is_err() { return }
                }
                Ok(length) = client.read(&mut asked) => {
                    self.travel(length).await;
                    statement.extend(&asked[..length]);
                    let is_complete = !is_writer || statement.ends_with(SYNC) || statement.starts_with(GOODBYE);
                    if length == 0 || is_complete && self.forward(is_writer, &mut statement, &mut server).await {
                        break;
                    }
                    is_writer |= contains(&asked[..length], b"from append_batch(");
                }
                else => return,
            }
        }
        if !statement.is_empty() {
            *self.held.lock().await = Some(Held { statement, server });
        }
    }

    /// The way of a packet of this many bytes through the network.
    async fn travel(&self, length: usize) {
        drop(self.is_silent.subscribe().wait_for(|silent| !silent).await);
        let latency = self.latency.load(Ordering::SeqCst);
        let passing = match self.bandwidth.load(Ordering::SeqCst) {
            0 => 0,
            bandwidth => u64::try_from(length).unwrap_or(u64::MAX).saturating_mul(1_000) / bandwidth,
        };
        if latency + passing > 0 {
            tokio::time::sleep(Duration::from_millis(latency + passing)).await;
        }
    }

    /// Sends the statement on, unless a fault is due. True when the client is to be cut off; a statement that is left is
    /// to be held.
    async fn forward(&self, is_writer: bool, statement: &mut Vec<u8>, server: &mut TcpStream) -> bool {
        let next = || self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fault = if is_writer { next() } else { None };
        self.faults.fetch_add(usize::from(fault.is_some()), Ordering::SeqCst);
        match fault {
            None => server.write_all(&std::mem::take(statement)).await.is_err(),
            Some(Fault::LoseStatement) => {
                statement.clear();
                true
            }
            Some(Fault::HoldStatement) => true,
            Some(Fault::LoseAnswerAtOnce) => {
                // Either way the client is cut off; that the server is gone, too, makes no difference to it.
                drop(server.write_all(&std::mem::take(statement)).await);
                true
            }
            Some(fault @ (Fault::LoseAnswer | Fault::LoseAnswerAndGoDown)) => {
                drop(server.write_all(&std::mem::take(statement)).await);
                // The server answers after the commit, unless it dies before.
                drop(server.read_u8().await);
                self.is_up.send_replace(fault == Fault::LoseAnswer);
                true
            }
        }
    }
}

/// The message that ends each statement of the extended protocol.
const SYNC: &[u8] = b"S\0\0\0\x04";
/// The message with which a client leaves.
const GOODBYE: &[u8] = b"X\0\0\0\x04";

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
