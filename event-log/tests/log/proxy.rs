//! A TCP proxy before a PostgreSQL server that loses or delays one batch of the writer's when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
    /// As before, and nobody can connect any more.
    LoseAnswerAndGoDown,
    /// The connection breaks and the statement is never delivered.
    LoseStatement,
    /// The connection breaks and the statement is delivered when the test says so.
    HoldStatement,
}

pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    next: std::sync::Mutex<Option<Fault>>,
    faults: AtomicUsize,
    is_up: watch::Sender<bool>,
    /// How long it takes to connect, in milliseconds.
    slowness: AtomicU64,
    held: Mutex<Option<Held>>,
}

/// A statement whose sender is gone, and the connection on which it will arrive.
struct Held {
    statement: Vec<u8>,
    server: TcpStream,
}

impl Proxy {
    pub async fn to(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server: format!("{}:{}", options.get_host(), options.get_port()),
            next: std::sync::Mutex::default(),
            faults: AtomicUsize::new(0),
            is_up: watch::Sender::new(true),
            slowness: AtomicU64::new(0),
            held: Mutex::default(),
        });
        let url = options.host("127.0.0.1").port(port).to_url_lossy().to_string();
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
        Self { url, shared }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn next(&self, fault: Fault) {
        *self.shared.next.lock().unwrap() = Some(fault);
    }

    /// How many faults have happened.
    pub fn faults(&self) -> usize {
        self.shared.faults.load(Ordering::SeqCst)
    }

    /// From here on it takes so long to connect.
    pub fn slow_down(&self, delay: Duration) {
        self.shared.slowness.store(delay.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// Breaks all connections and lets nobody connect.
    pub fn go_down(&self) {
        self.shared.is_up.send_replace(false);
    }

    pub fn come_back(&self) {
        self.shared.is_up.send_replace(true);
    }

    /// Delivers the statement that was held, and answers what the server said to it.
    pub async fn deliver_held(&self) -> Vec<u8> {
        let mut held = self.shared.held.lock().await.take().expect("a held statement");
        held.server.write_all(&held.statement).await.unwrap();
        let mut reply = vec![0; 65_536];
        let length = held.server.read(&mut reply).await.unwrap();
        reply.truncate(length);
        reply
    }
}

impl Shared {
    /// Forwards both ways until one end closes or the fault comes; returning breaks the connection.
    async fn connect(self: Arc<Self>, mut client: TcpStream) {
        tokio::time::sleep(Duration::from_millis(self.slowness.load(Ordering::SeqCst))).await;
        let Ok(mut server) = TcpStream::connect(&self.server).await else { return };
        let mut is_up = self.is_up.subscribe();
        let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
        let mut statement = Vec::new();
        let mut is_writer = false;
        loop {
            tokio::select! {
                () = async { drop(is_up.wait_for(|up| !up).await) } => return,
                Ok(length) = server.read(&mut answered) => {
                    if length == 0 || client.write_all(&answered[..length]).await.is_err() { return }
                }
                Ok(length) = client.read(&mut asked) => {
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

    /// Sends the statement on, unless a fault is due. True when the client is to be cut off; a statement that is left is
    /// to be held.
    async fn forward(&self, is_writer: bool, statement: &mut Vec<u8>, server: &mut TcpStream) -> bool {
        let fault = if is_writer { self.next.lock().unwrap().take() } else { None };
        self.faults.fetch_add(usize::from(fault.is_some()), Ordering::SeqCst);
        match fault {
            None => server.write_all(&std::mem::take(statement)).await.is_err(),
            Some(Fault::LoseStatement) => {
                statement.clear();
                true
            }
            Some(Fault::HoldStatement) => true,
            Some(fault @ (Fault::LoseAnswer | Fault::LoseAnswerAndGoDown)) => {
                server.write_all(&std::mem::take(statement)).await.unwrap();
                // The server answers after the commit.
                server.read_u8().await.unwrap();
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

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
