//! What all parts of the simulator share.

use crate::book::Book;
use crate::bucket::{Answer, Bucket};
use crate::clock::SimClock;
use crate::config::Config;
use crate::error::SimulatorError;
use crate::fault::{Fault, Stage};
use crate::faults::{Call, Faults};
use crate::fetch::Fetched;
use crate::files::Files;
use crate::ledger::Ledger;
use crate::model::{Model, Models};
use crate::net::Door;
use crate::outbound::Outbound;
use crate::record::{Detail, Origin, Record};
use crate::requests::Arrivals;
use crate::studio::Studio;
use crate::webhook::Hooks;
use serde::Serialize;
use spool_provider::wire::Prediction;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// No limit on the account's credit.
const ENDLESS: i64 = i64::MAX;
/// Below five dollars the service slows an account down.
const LOW_CREDIT_MICROS: i64 = 5_000_000;

/// A request to the CDN that carried the API token.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Leak {
    pub(crate) path: String,
    pub(crate) at: chrono::DateTime<chrono::Utc>,
}

/// What all parts of the simulator share.
pub(crate) struct Sim {
    pub(crate) config: Config,
    pub(crate) origin: Origin,
    pub(crate) clock: SimClock,
    pub(crate) models: Models,
    pub(crate) book: Book,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    pub(crate) door: Door,
    pub(crate) files: Files,
    pub(crate) studio: Studio,
    pub(crate) outbound: Outbound,
    pub(crate) hooks: Hooks,
    pub(crate) fetches: Mutex<Vec<Fetched>>,
    pub(crate) leaks: Mutex<Vec<Leak>>,
    pub(crate) arrivals: Arrivals,
    creates: Bucket,
    reads: Bucket,
    slow: Bucket,
    credit: AtomicI64,
    /// Fires when the program ends.
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Sim {
    pub(crate) fn open(config: Config, origin: Origin) -> Result<Arc<Self>, SimulatorError> {
        if !(config.speed.is_finite() && config.speed > 0.0) {
            return Err(SimulatorError::Speed(config.speed));
        }
        let dir = config.data_dir.clone();
        std::fs::create_dir_all(&dir).map_err(|source| SimulatorError::Data { path: dir.clone(), source })?;
        let faster = |per_minute: f64| (per_minute * config.speed).clamp(1.0, 1e9) as u32;
        let creates = config.creates_per_minute.unwrap_or_else(|| faster(600.0));
        let reads = config.reads_per_minute.unwrap_or_else(|| faster(3000.0));
        let now = Instant::now();
        Ok(Arc::new(Self {
            origin,
            clock: SimClock::open(dir.join("clock")),
            models: Models::load()?,
            book: Book::open(&dir.join("predictions.jsonl"))?,
            ledger: Ledger::open(&dir.join("charges.jsonl"))?,
            faults: Faults::new(config.seed),
            door: Door::open(),
            files: Files::open(&dir.join("files"))?,
            studio: Studio::open(&dir, config.cheap_media, config.seed)?,
            outbound: Outbound::new(config.allow_any_host)?,
            hooks: Hooks::open(&dir.join("webhook-secret"))?,
            fetches: Mutex::default(),
            leaks: Mutex::default(),
            arrivals: Arrivals::default(),
            creates: Bucket::new(creates, creates, now),
            reads: Bucket::new(reads, reads, now),
            slow: Bucket::new(6, 1, now),
            credit: AtomicI64::new(ENDLESS),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            config,
        }))
    }

    /// Simulated seconds as real time.
    pub(crate) fn scaled(&self, ms: u64) -> Duration {
        Duration::from_secs_f64(ms as f64 / 1000.0 / self.config.speed)
    }

    /// The model of a record. Records outlive model descriptions only across versions of this program.
    pub(crate) fn model_of(&self, record: &Record) -> Option<&Model> {
        self.models.by_slug(&record.model)
    }

    pub(crate) fn show(&self, record: &Record, detail: Detail) -> Prediction {
        record.show(&self.origin, self.clock.now(), detail)
    }

    pub(crate) fn strike(&self, stage: Stage, call: Call<'_>) -> Vec<Fault> {
        self.faults.strike(stage, call)
    }

    /// The folder of a prediction's outputs.
    pub(crate) fn output_dir(&self, id: &str) -> PathBuf {
        self.config.data_dir.join("outputs").join(id)
    }

    /// Takes one create request from its bucket; the narrow one when credit is low.
    pub(crate) fn take_create(&self) -> Answer {
        if self.has_low_credit()
            && let wait @ Answer::Wait(_) = self.slow.take(Instant::now())
        {
            return wait;
        }
        self.creates.take(Instant::now())
    }

    pub(crate) fn take_read(&self) -> Answer {
        self.reads.take(Instant::now())
    }

    /// Micro-dollars left; `None` without a limit.
    pub(crate) fn credit_left(&self) -> Option<i64> {
        let granted = self.credit.load(Ordering::Relaxed);
        (granted != ENDLESS).then(|| granted - self.ledger.total() as i64)
    }

    pub(crate) fn has_low_credit(&self) -> bool {
        self.credit_left().is_some_and(|left| left < LOW_CREDIT_MICROS)
    }

    /// Sets what is left; `None` lifts the limit.
    pub(crate) fn set_credit(&self, left: Option<i64>) {
        let granted = left.map_or(ENDLESS, |left| left + self.ledger.total() as i64);
        self.credit.store(granted, Ordering::Relaxed);
    }

    pub(crate) fn note_fetch(&self, fetched: Fetched) {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).push(fetched);
    }

    pub(crate) fn note_leak(&self, leak: Leak) {
        self.leaks.lock().unwrap_or_else(PoisonError::into_inner).push(leak);
    }
}
