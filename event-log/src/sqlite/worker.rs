//! Threads that own the connections. SQLite blocks, so no connection lives on an async thread.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use tokio::sync::oneshot;

use crate::OpenError;

type Task<C> = Box<dyn FnOnce(&mut C) + Send>;

/// Why a call has no result: the thread is gone.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Lost {
    /// The log was closed, or the thread stopped, before it took the call.
    #[error("the log is closed")]
    BeforeStart,
    /// The thread died with the call in hand.
    #[error("the thread of the log died")]
    Midway,
}

/// Some threads, each with a connection of its own, that take calls from one queue in order.
pub(super) struct Pool<C> {
    queue: Mutex<Option<Sender<Task<C>>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<C: Send + 'static> Pool<C> {
    /// One thread for each connection.
    pub fn start(name: &str, connections: Vec<C>) -> Result<Self, OpenError> {
        let (sender, receiver) = channel::<Task<C>>();
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = connections
            .into_iter()
            .map(|connection| {
                let receiver = Arc::clone(&receiver);
                Builder::new().name(name.to_owned()).spawn(move || serve(connection, &receiver))
            })
            .collect::<io::Result<_>>()
            .map_err(|error| OpenError::Unavailable(error.into()))?;
        Ok(Self { queue: Mutex::new(Some(sender)), threads: Mutex::new(threads) })
    }

    /// Runs `work` on one of the threads.
    pub async fn call<T: Send + 'static>(&self, work: impl FnOnce(&mut C) -> T + Send + 'static) -> Result<T, Lost> {
        let (answer, answered) = oneshot::channel();
        let accepted = self.send(move |connection| {
            // Whoever asked may have gone; the work is done all the same.
            let _ = answer.send(work(connection));
        });
        if !accepted {
            return Err(Lost::BeforeStart);
        }
        answered.await.map_err(|_| Lost::Midway)
    }

    /// Runs `work` on one of the threads and lets nobody wait for it; false if they are gone.
    pub fn send(&self, work: impl FnOnce(&mut C) + Send + 'static) -> bool {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().is_some_and(|queue| queue.send(Box::new(work)).is_ok())
    }

    /// Finishes what was queued, then drops the connections.
    pub async fn stop(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of the log had died");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("the threads of the log could not be joined");
        }
    }
}

fn serve<C>(mut connection: C, receiver: &Mutex<Receiver<Task<C>>>) {
    loop {
        let task = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match task {
            Ok(task) => task(&mut connection),
            Err(_) => return,
        }
    }
}
