//! The issuer's published keys: read at start, kept while the source is down, read again when they may have changed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::keys::{KeySet, KeySetError};
use crate::config::JwksSource;

/// Largest key set that is read, in bytes.
const MAX_BYTES: u64 = 256 * 1024;

/// How often the source is read.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    /// Always, after this time.
    pub every: Duration,
    /// When a token names an unknown key, but not more often than this.
    pub at_most_every: Duration,
}

impl Refresh {
    fn of(source: &JwksSource) -> Self {
        match source {
            JwksSource::File(_) => Self { every: Duration::from_secs(5), at_most_every: Duration::from_secs(1) },
            JwksSource::Url(_) => Self { every: Duration::from_mins(5), at_most_every: Duration::from_secs(30) },
        }
    }
}

/// The key set can't be read.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The file can't be read.
    #[error("the key set's file can't be read")]
    File(#[from] std::io::Error),
    /// The URL gives no answer, or not a good one.
    #[error("the key set can't be fetched")]
    Fetch(#[from] reqwest::Error),
    /// The URL answers with something else than 200.
    #[error("the key set's URL answers {0}")]
    Status(reqwest::StatusCode),
    /// More than a key set ever needs.
    #[error("the key set is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// What was read is no key set.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

/// A key set as it was read. Another content gets another generation, so that what was verified with the keys before is
/// verified again.
#[derive(Debug)]
pub struct Generation {
    /// The keys.
    pub keys: KeySet,
    /// SHA-256 of the text.
    pub digest: [u8; 32],
}

/// Reads and keeps the keys.
#[derive(Debug)]
pub struct Jwks {
    source: JwksSource,
    refresh: Refresh,
    client: reqwest::Client,
    current: ArcSwapOption<Generation>,
    /// When the source was last asked, well or not.
    asked: Mutex<Instant>,
}

impl Jwks {
    /// Reads the source for the first time, and from then on in the background for as long as somebody holds the result.
    ///
    /// A URL that does not answer is no error: the service starts, and refuses tokens with 503 until it does.
    ///
    /// # Errors
    /// A file can't be read or is no key set.
    pub async fn open(source: JwksSource) -> Result<Arc<Self>, JwksError> {
        let refresh = Refresh::of(&source);
        Self::open_with(source, refresh).await
    }

    pub(super) async fn open_with(source: JwksSource, refresh: Refresh) -> Result<Arc<Self>, JwksError> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(5))
            // A redirect could lead anywhere, plain http included.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let jwks = Arc::new(Self {
            source,
            refresh,
            client,
            current: ArcSwapOption::empty(),
            asked: Mutex::new(Instant::now()),
        });
        match (jwks.read().await, &jwks.source) {
            (Ok(()), _) => {}
            (Err(error), JwksSource::File(_)) => return Err(error),
            (Err(error), JwksSource::Url(url)) => {
                tracing::warn!(%url, error = &error as &dyn std::error::Error, "no keys yet; tokens are refused until then");
            }
        }
        let weak = Arc::downgrade(&jwks);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(refresh.every).await;
                let Some(jwks) = weak.upgrade() else { return };
                jwks.read_again(refresh.every).await;
            }
        });
        Ok(jwks)
    }

    /// The keys as last read; `None` if they never could be.
    pub fn current(&self) -> Option<Arc<Generation>> {
        self.current.load_full()
    }

    /// A token names a key that is not there: the source is asked again, unless it just was.
    pub async fn look_again(&self) {
        self.read_again(self.refresh.at_most_every).await;
    }

    /// One caller asks; the others wait for it and find it done.
    async fn read_again(&self, at_most_every: Duration) {
        let mut asked = self.asked.lock().await;
        if asked.elapsed() < at_most_every && self.current.load().is_some() {
            return;
        }
        // Without any key there is nothing to lose by asking more often, but not per request.
        if asked.elapsed() < at_most_every.min(Duration::from_secs(1)) {
            return;
        }
        *asked = Instant::now();
        if let Err(error) = self.read().await {
            tracing::warn!(
                source = ?self.source,
                error = &error as &dyn std::error::Error,
                "the key set can't be read; the keys read before stay in use"
            );
        }
    }

    async fn read(&self) -> Result<(), JwksError> {
        let text = match &self.source {
            JwksSource::File(path) => read_file(path).await?,
            JwksSource::Url(url) => self.fetch(url).await?,
        };
        let digest: [u8; 32] = Sha256::digest(&text).into();
        if self.current.load().as_ref().is_some_and(|current| current.digest == digest) {
            return Ok(());
        }
        let keys = KeySet::parse(&text)?;
        self.current.store(Some(Arc::new(Generation { keys, digest })));
        tracing::info!(source = ?self.source, "key set read");
        Ok(())
    }

    async fn fetch(&self, url: &reqwest::Url) -> Result<Vec<u8>, JwksError> {
        let mut response = self.client.get(url.clone()).send().await?;
        // Not only errors: a redirect that is not followed may carry a body as well.
        if response.status() != reqwest::StatusCode::OK {
            return Err(JwksError::Status(response.status()));
        }
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            text.extend_from_slice(&chunk);
            if text.len() as u64 > MAX_BYTES {
                return Err(JwksError::TooLarge);
            }
        }
        Ok(text)
    }
}

async fn read_file(path: &Path) -> Result<Vec<u8>, JwksError> {
    use tokio::io::AsyncReadExt;
    let mut text = Vec::new();
    tokio::fs::File::open(path).await?.take(MAX_BYTES + 1).read_to_end(&mut text).await?;
    if text.len() as u64 > MAX_BYTES { Err(JwksError::TooLarge) } else { Ok(text) }
}
