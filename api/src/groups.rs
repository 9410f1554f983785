//! What comes at the same time is done together. What comes alone is done at once; groups grow with the load, for a second one begins beside
//! the first only when many wait for it, or when they have waited long: two small groups cost the database more than a large one.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::error::ApiError;

/// Groups at the same time, at most.
const AT_ONCE: usize = 2;
/// So many do not wait until another group is done.
const MANY: usize = 16;
/// Nor do fewer for longer.
const LONG: Duration = Duration::from_millis(25);
/// Most of a group.
const MOST: usize = 32;
/// Most that wait; who comes then waits to wait.
const QUEUE: usize = 1024;

/// Where to hand in what is done in groups.
#[derive(Debug)]
pub struct Groups<T> {
    queue: mpsc::Sender<T>,
    waiting: Arc<AtomicUsize>,
}

impl<T> Clone for Groups<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), waiting: Arc::clone(&self.waiting) }
    }
}

impl<T: Send + 'static> Groups<T> {
    /// Starts what does `work`, a task for each group; it ends with the last handle.
    pub fn new<F, D>(work: F) -> Self
    where
        F: Fn(Vec<T>) -> D + Send + 'static,
        D: Future<Output = ()> + Send + 'static,
    {
        Self::with(LONG, work)
    }

    fn with<F, D>(long: Duration, work: F) -> Self
    where
        F: Fn(Vec<T>) -> D + Send + 'static,
        D: Future<Output = ()> + Send + 'static,
    {
        let (sender, queue) = mpsc::channel(QUEUE);
        let waiting = Arc::default();
        let groups = Self { queue: sender, waiting: Arc::clone(&waiting) };
        tokio::spawn(work_off(queue, waiting, long, work));
        groups
    }

    pub async fn hand_in(&self, one: T) -> Result<(), ApiError> {
        let place = self.queue.reserve().await;
        let place = place.map_err(|_| ApiError::internal("those who work in groups have ended"))?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        place.send(one);
        Ok(())
    }

    /// How many are in no group yet.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

async fn work_off<T, F, D>(mut queue: mpsc::Receiver<T>, waiting: Arc<AtomicUsize>, long: Duration, work: F)
where
    F: Fn(Vec<T>) -> D,
    D: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut group = Vec::new();
    let mut since = Instant::now();
    loop {
        let worth_it = group.len() >= MANY || since.elapsed() >= long;
        if !group.is_empty() && (running.is_empty() || worth_it && running.len() < AT_ONCE) {
            waiting.fetch_sub(group.len(), Ordering::Relaxed);
            // On a task of its own: if it breaks, what it held is dropped, and the next group is done.
            running.spawn(work(mem::take(&mut group)));
        }
        let (first, room) = (group.is_empty(), MOST - group.len());
        tokio::select! {
            biased;
            Some(_) = running.join_next() => {}
            came = queue.recv_many(&mut group, room), if room > 0 => {
                if came == 0 {
                    break;
                }
                if first {
                    since = Instant::now();
                }
            }
            () = sleep_until(since + long), if !first && running.len() < AT_ONCE => {}
        }
    }
    while running.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    const NEVER: Duration = Duration::from_secs(3600);
    const BOUND: Duration = Duration::from_secs(60);

    /// Groups that tell when they begin, and end one by one.
    struct Bench {
        groups: Groups<u32>,
        begun: mpsc::UnboundedReceiver<usize>,
        ends: Arc<Semaphore>,
    }

    impl Bench {
        fn new(long: Duration) -> Self {
            let (tell, begun) = mpsc::unbounded_channel();
            let ends = Arc::new(Semaphore::new(0));
            let end = Arc::clone(&ends);
            let groups = Groups::with(long, move |group: Vec<u32>| {
                let (tell, end) = (tell.clone(), Arc::clone(&end));
                async move {
                    assert!(!group.contains(&13), "a group that breaks");
                    tell.send(group.len()).expect("the bench listens");
                    end.acquire().await.expect("nobody closes it").forget();
                }
            });
            Self { groups, begun, ends }
        }

        async fn hand_in(&self, how_many: usize) {
            for _ in 0..how_many {
                self.groups.hand_in(1).await.expect("taken");
            }
        }

        /// Whoever could begin has had every opportunity.
        async fn still_wait(&self, how_many: usize) {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(self.groups.waiting(), how_many);
        }

        /// Until groups have begun with so many in all.
        async fn begin(&mut self, how_many: usize) {
            let mut begun = 0;
            while begun < how_many {
                let next = tokio::time::timeout(BOUND, self.begun.recv()).await;
                begun += next.expect("it begins").expect("a group");
            }
            assert_eq!(begun, how_many);
        }
    }

    #[tokio::test]
    async fn a_second_group_begins_only_when_many_wait() {
        let mut bench = Bench::new(NEVER);
        bench.hand_in(1).await;
        bench.begin(1).await;
        bench.hand_in(MANY - 1).await;
        bench.still_wait(MANY - 1).await;
        bench.hand_in(1).await;
        bench.begin(MANY).await;
        bench.hand_in(MOST + 3).await;
        // Two are most.
        bench.still_wait(MOST + 3).await;
        bench.ends.add_permits(1);
        bench.begin(MOST).await;
        bench.still_wait(3).await;
        bench.ends.add_permits(2);
        bench.begin(3).await;
    }

    #[tokio::test]
    async fn or_when_they_have_waited_long() {
        let mut bench = Bench::new(Duration::ZERO);
        for _ in 0..AT_ONCE {
            bench.hand_in(1).await;
            bench.begin(1).await;
        }
    }

    #[tokio::test]
    async fn a_group_that_breaks_stops_no_other() {
        let mut bench = Bench::new(NEVER);
        for _ in 0..2 * AT_ONCE {
            bench.groups.hand_in(13).await.expect("taken");
            tokio::time::timeout(BOUND, async {
                while bench.groups.waiting() > 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await
            .expect("it begins, and breaks");
        }
        bench.hand_in(1).await;
        bench.begin(1).await;
    }
}
