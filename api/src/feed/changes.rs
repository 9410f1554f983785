//! Who waits for which job. A job that nobody waits for takes no room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

type Waiting = HashMap<i64, watch::Sender<()>>;

#[derive(Debug, Clone, Default)]
pub struct Changes(Arc<Mutex<Waiting>>);

/// Hears of changes of one job from its making on.
#[derive(Debug)]
pub struct Subscription {
    changes: Changes,
    job: i64,
    receiver: watch::Receiver<()>,
}

impl Changes {
    pub fn subscribe(&self, job: i64) -> Subscription {
        let receiver = self.waiting().entry(job).or_insert_with(|| watch::Sender::new(())).subscribe();
        Subscription { changes: self.clone(), job, receiver }
    }

    pub fn wake(&self, job: i64) {
        if let Some(sender) = self.waiting().get(&job) {
            sender.send_replace(());
        }
    }

    pub fn wake_all(&self) {
        for sender in self.waiting().values() {
            sender.send_replace(());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Comes back once the job has changed since this was made or came back before. Changes in between are one.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            // Nobody can tell any more: whoever waits looks by the clock.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiting = self.changes.waiting();
        if waiting.get(&self.job).is_some_and(|sender| sender.receiver_count() <= 1) {
            waiting.remove(&self.job);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn only_who_waits_for_the_job_is_woken_and_nothing_is_left_behind() {
        let changes = Changes::default();
        let (mut one, mut other) = (changes.subscribe(1), changes.subscribe(2));
        let twin = changes.subscribe(1);
        assert!(one.changed().now_or_never().is_none());
        changes.wake(1);
        changes.wake(1);
        one.changed().await;
        assert!(one.changed().now_or_never().is_none(), "changes in between are one");
        assert!(other.changed().now_or_never().is_none());
        changes.wake_all();
        one.changed().await;
        other.changed().await;
        drop(one);
        assert_eq!(changes.waiting().len(), 2, "its twin still waits");
        drop((twin, other));
        assert!(changes.waiting().is_empty());
    }
}
