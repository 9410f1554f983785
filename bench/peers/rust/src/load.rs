//! Open loop, as Spool's own: tasks are sent when they are due, whether or not those before them are done, and latency counts from then.

use std::{
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{Outcome, Payload, Peer};

/// Tasks of one call at most.
const LARGEST: usize = 200;
/// Without a rate, as many may be on their way.
const OUTSTANDING: usize = 4000;

pub(crate) struct Load {
    rate: usize,
    lasting: Duration,
    started: OnceLock<Instant>,
    sent: AtomicUsize,
    done: AtomicUsize,
    millis: Mutex<Vec<f64>>,
}

impl Load {
    pub(crate) fn new(rate: usize, seconds: u64) -> Self {
        let lasting = Duration::from_secs(seconds);
        let (sent, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { rate, lasting, started: OnceLock::new(), sent, done, millis: Mutex::default() }
    }

    fn started(&self) -> Instant {
        *self.started.get_or_init(Instant::now)
    }

    pub(crate) fn done(&self, job: u64) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if self.rate > 0 {
            let due = self.started() + Duration::from_secs_f64(job as f64 / self.rate as f64);
            self.millis.lock().expect("no handler panics").push(due.elapsed().as_secs_f64() * 1e3);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    pub(crate) fn millis(&self) -> Vec<f64> {
        self.millis.lock().expect("no handler panics").clone()
    }

    /// How many are due by now.
    fn by_now(&self) -> usize {
        if self.rate == 0 {
            return self.count() + OUTSTANDING;
        }
        (self.started().elapsed().as_secs_f64() * self.rate as f64) as usize
    }

    /// Sends until the time is over, and says how many.
    pub(crate) async fn send<P: Peer>(&self, peer: &P) -> Outcome<usize> {
        let one = || self.send_some(peer);
        tokio::try_join!(one(), one(), one(), one())?;
        Ok(self.sent.load(Ordering::Relaxed))
    }

    async fn send_some<P: Peer>(&self, peer: &P) -> Outcome<()> {
        while self.started().elapsed() < self.lasting {
            let due = self.by_now();
            let claim = |first: usize| (first < due).then(|| due.min(first + LARGEST));
            match self.sent.fetch_update(Ordering::AcqRel, Ordering::Acquire, claim) {
                Ok(first) => {
                    let jobs = first..due.min(first + LARGEST);
                    peer.enqueue_many(jobs.map(|job| Payload::new(job as u64)).collect()).await?;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        Ok(())
    }
}
