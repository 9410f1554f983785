//! All predictions: in memory for reading, in a journal for the next start. The last line of an id counts.

use crate::error::SimulatorError;
use crate::journal::Journal;
use crate::record::Record;
use spool_provider::wire::PredictionStatus;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

struct Entry {
    record: Record,
    changed: watch::Sender<()>,
    stop: CancellationToken,
}

impl Entry {
    fn of(record: Record) -> Self {
        let stop = CancellationToken::new();
        if record.cancel_requested {
            stop.cancel();
        }
        Self { record, changed: watch::Sender::new(()), stop }
    }
}

#[derive(Default)]
struct Entries {
    by_seq: BTreeMap<u64, Entry>,
    seqs: HashMap<String, u64>,
    next_seq: u64,
}

/// All predictions.
pub(crate) struct Book {
    entries: Mutex<Entries>,
    journal: Journal,
}

impl Book {
    pub(crate) fn open(path: &Path) -> Result<Self, SimulatorError> {
        let (journal, lines) = Journal::open::<Record>(path)?;
        let mut entries = Entries::default();
        for record in lines {
            entries.next_seq = entries.next_seq.max(record.seq + 1);
            entries.seqs.insert(record.id.clone(), record.seq);
            entries.by_seq.insert(record.seq, Entry::of(record));
        }
        Ok(Self { entries: Mutex::new(entries), journal })
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a new one; gives it its number.
    pub(crate) fn insert(&self, mut record: Record) -> Record {
        let mut entries = self.lock();
        record.seq = entries.next_seq;
        entries.next_seq += 1;
        self.write(&record);
        entries.seqs.insert(record.id.clone(), record.seq);
        entries.by_seq.insert(record.seq, Entry::of(record.clone()));
        record
    }

    pub(crate) fn get(&self, id: &str) -> Option<Record> {
        self.with(id, |entry| entry.record.clone())
    }

    /// Fires when its cancellation is asked for.
    pub(crate) fn stop_of(&self, id: &str) -> Option<CancellationToken> {
        self.with(id, |entry| entry.stop.clone())
    }

    /// Tells of changes.
    pub(crate) fn watch(&self, id: &str) -> Option<watch::Receiver<()>> {
        self.with(id, |entry| entry.changed.subscribe())
    }

    fn with<T>(&self, id: &str, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let entries = self.lock();
        let seq = entries.seqs.get(id)?;
        entries.by_seq.get(seq).map(look)
    }

    /// Changes one, unless it is final: then the change is refused and `None` comes back.
    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Record)) -> Option<Record> {
        self.edit(id, |record| {
            let open = !record.status.is_terminal();
            if open {
                change(record);
            }
            open
        })
    }

    /// Changes one, final or not; `false` from `change` means that nothing was changed.
    pub(crate) fn edit(&self, id: &str, change: impl FnOnce(&mut Record) -> bool) -> Option<Record> {
        let mut entries = self.lock();
        let seq = *entries.seqs.get(id)?;
        let entry = entries.by_seq.get_mut(&seq)?;
        if !change(&mut entry.record) {
            return None;
        }
        if entry.record.cancel_requested {
            entry.stop.cancel();
        }
        self.write(&entry.record);
        entry.changed.send_replace(());
        Some(entry.record.clone())
    }

    /// At most `limit` records older than `below` that pass, newest first.
    pub(crate) fn newest(&self, below: u64, limit: usize, pass: impl Fn(&Record) -> bool) -> Vec<Record> {
        let entries = self.lock();
        let older = entries.by_seq.range(..below).rev().map(|(_, entry)| &entry.record);
        older.filter(|record| pass(record)).take(limit).cloned().collect()
    }

    /// At most `limit` records newer than `above` that pass, oldest first.
    pub(crate) fn oldest(&self, above: u64, limit: usize, pass: impl Fn(&Record) -> bool) -> Vec<Record> {
        let entries = self.lock();
        let newer = entries.by_seq.range(above..).map(|(_, entry)| &entry.record);
        newer.filter(|record| pass(record)).take(limit).cloned().collect()
    }

    /// How many of the same model, created before this one, are being worked on.
    pub(crate) fn running_before(&self, record: &Record) -> usize {
        let busy = [PredictionStatus::Starting, PredictionStatus::Processing];
        let entries = self.lock();
        let older = entries.by_seq.range(..record.seq).map(|(_, entry)| &entry.record);
        older.filter(|older| older.model == record.model && busy.contains(&older.status)).count()
    }

    /// Forgets every prediction; what runs is stopped. Numbers go on.
    pub(crate) async fn clear(&self) {
        {
            let mut entries = self.lock();
            entries.seqs.clear();
            for entry in std::mem::take(&mut entries.by_seq).into_values() {
                entry.stop.cancel();
            }
        }
        self.journal.clear().await;
    }

    fn write(&self, record: &Record) {
        match serde_json::to_string(record) {
            Ok(line) => self.journal.append(line),
            Err(error) => {
                tracing::error!(external_id = record.id, %error, "a prediction could not be written down");
            }
        }
    }
}
