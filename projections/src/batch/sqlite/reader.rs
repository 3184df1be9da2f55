//! Threads that read `views.db`, each with a connection that can't write.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use super::store_error;
use crate::batch::StoreError;

type Call = Box<dyn FnOnce(&Connection) + Send>;

/// The threads; whichever is free takes the next call.
pub(crate) struct Readers {
    calls: Mutex<Option<Sender<Call>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub fn start(path: &Path, count: u32) -> Result<Self, StoreError> {
        let (calls, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut threads = Vec::new();
        for _ in 0..count.max(1) {
            let connection =
                Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                    .map_err(StoreError::unavailable)?;
            connection.busy_timeout(Duration::from_secs(5)).map_err(StoreError::unavailable)?;
            connection.set_prepared_statement_cache_capacity(64);
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new()
                .name("views-reader".to_owned())
                .spawn(move || serve(&connection, &queue))
                .map_err(StoreError::unavailable)?;
            threads.push(thread);
        }
        Ok(Self { calls: Mutex::new(Some(calls)), threads: Mutex::new(threads) })
    }

    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let call: Call = Box::new(move |connection| {
            // Whoever asked may have gone.
            let _ = sender.send(call(connection));
        });
        self.send(call)?;
        receiver.await.map_err(|_| gone())?.map_err(store_error)
    }

    /// Waits until everything sent is answered.
    pub fn close(&self) {
        if let Ok(mut calls) = self.calls.lock() {
            calls.take();
        }
        let threads = self.threads.lock().map(|mut threads| std::mem::take(&mut *threads)).unwrap_or_default();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a reader of views.db panicked");
            }
        }
    }

    fn send(&self, call: Call) -> Result<(), StoreError> {
        let calls = self.calls.lock().map_err(|_| gone())?;
        calls.as_ref().ok_or_else(gone)?.send(call).map_err(|_| gone())
    }
}

fn serve(connection: &Connection, queue: &Mutex<Receiver<Call>>) {
    loop {
        // The lock is held only while waiting for the next call, never while answering it.
        let Ok(call) = queue.lock().map(|queue| queue.recv()) else { return };
        match call {
            Ok(call) => call(connection),
            Err(_) => return,
        }
    }
}

fn gone() -> StoreError {
    StoreError::unavailable(std::io::Error::other("views.db is closed"))
}
