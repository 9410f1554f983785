//! What comes at the same time is done together. What comes alone is done at once; groups grow with the load.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use crate::error::ApiError;

/// Groups at the same time; what comes meanwhile is the next one's.
const WORKERS: usize = 2;
/// Most of a group.
const MOST: usize = 32;
/// Most that wait; who comes then waits to wait.
const QUEUE: usize = 1024;

/// Where to hand in what is done in groups.
#[derive(Debug)]
pub struct Groups<T>(mpsc::Sender<T>);

impl<T> Clone for Groups<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> Groups<T> {
    /// Starts those who do `work`, each with one group after the other; they end with the last handle.
    pub fn new<F, D>(work: F) -> Self
    where
        F: Fn(Vec<T>) -> D + Clone + Send + 'static,
        D: Future<Output = ()> + Send + 'static,
    {
        let (sender, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..WORKERS {
            tokio::spawn(work_off(Arc::clone(&queue), work.clone()));
        }
        Self(sender)
    }

    pub async fn hand_in(&self, one: T) -> Result<(), ApiError> {
        self.0.send(one).await.map_err(|_| ApiError::internal("those who work in groups have ended"))
    }

    /// How many are in no group yet.
    pub fn waiting(&self) -> usize {
        self.0.max_capacity() - self.0.capacity()
    }
}

async fn work_off<T, F, D>(queue: Arc<Mutex<mpsc::Receiver<T>>>, work: F)
where
    F: Fn(Vec<T>) -> D,
    D: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut group = Vec::new();
        if queue.lock().await.recv_many(&mut group, MOST).await == 0 {
            return;
        }
        // On a task of its own: if it breaks, what it held is dropped, and the next group is done.
        tokio::spawn(work(group)).await.ok();
    }
}
