//! One keep-alive connection, without a pool in front of it: the load generator shares the cores with what it measures.

use std::net::SocketAddr;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection to the service.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

/// What a client asks.
pub struct Ask {
    /// HTTP method.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Bearer token.
    pub token: std::rc::Rc<str>,
    /// JSON text, empty for none.
    pub body: String,
    /// `Idempotency-Key`.
    pub key: Option<String>,
    /// Whether to send `Prefer: respond-async`.
    pub respond_async: bool,
}

impl Ask {
    /// A read of what needs no token.
    pub fn plain(path: &str) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            token: "none".into(),
            body: String::new(),
            key: None,
            respond_async: false,
        }
    }
}

/// An answer, read whole.
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("can't connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(async move {
            // Whoever sends next is told.
            drop(connection.await);
        });
        Ok(Self { sender, host: address.to_string() })
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, ask: Ask) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.path.parse::<Uri>()?)
            .header(HOST, &self.host)
            .header(AUTHORIZATION, format!("Bearer {}", ask.token));
        if !ask.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = ask.key {
            request = request.header("idempotency-key", key);
        }
        if ask.respond_async {
            request = request.header("prefer", "respond-async");
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::new(Bytes::from(ask.body)))?).await?;
        let (parts, body) = response.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.collect().await?.to_bytes() })
    }
}
