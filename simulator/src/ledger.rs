//! The ledger of charges: what the provider would bill, one growing file of JSON lines. A row is on disk
//! before the request that caused it is answered, so a lost answer never loses a purchase.

use crate::error::SimulatorError;
use crate::journal::Journal;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// One purchase as it stands. The file holds every version of it, the last one counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Charge {
    /// Its id.
    pub prediction_id: String,
    /// `owner/name`, or the language model.
    pub model: String,
    /// SHA-256 of the canonical input with media replaced by the digest of their bytes; null until fetched.
    pub input_digest: Option<String>,
    /// How many units were produced.
    pub units: Number,
    /// What a unit is.
    pub unit: String,
    /// What it costs, in micro-dollars; 0 while it runs.
    pub cost_micros: u64,
    /// As the prediction's.
    pub status: String,
    /// When it was bought.
    pub created_at: DateTime<Utc>,
}

#[derive(Default)]
struct Rows {
    order: Vec<Charge>,
    at: HashMap<String, usize>,
}

impl Rows {
    fn put(&mut self, charge: Charge) {
        if let Some(&index) = self.at.get(&charge.prediction_id) {
            self.order[index] = charge;
        } else {
            self.at.insert(charge.prediction_id.clone(), self.order.len());
            self.order.push(charge);
        }
    }
}

/// All purchases.
pub(crate) struct Ledger {
    rows: Mutex<Rows>,
    journal: Journal,
}

impl Ledger {
    pub(crate) fn open(path: &Path) -> Result<Self, SimulatorError> {
        let (journal, lines) = Journal::open::<Charge>(path)?;
        let mut rows = Rows::default();
        for charge in lines {
            rows.put(charge);
        }
        Ok(Self { rows: Mutex::new(rows), journal })
    }

    /// Writes a purchase or a newer version of one; returns when it is on disk.
    pub(crate) async fn write(&self, charge: Charge) {
        let line = serde_json::to_string(&charge).unwrap_or_default();
        self.journal.append_durably(line).await;
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).put(charge);
    }

    /// Forgets every purchase.
    pub(crate) async fn clear(&self) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = Rows::default();
        self.journal.clear().await;
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).at.contains_key(id)
    }

    /// Every purchase, oldest first.
    pub(crate) fn all(&self) -> Vec<Charge> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).order.clone()
    }

    /// What all purchases cost, in micro-dollars.
    pub(crate) fn total(&self) -> u64 {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.order.iter().map(|charge| charge.cost_micros).sum()
    }
}
