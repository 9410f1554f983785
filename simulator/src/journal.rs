//! An append-only file of JSON lines. One thread writes; lines that come while it syncs share the next sync,
//! so a storm of creations costs a handful of fsyncs and not one each.

use crate::error::SimulatorError;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use tokio::sync::oneshot;

struct Order {
    /// A line to append, or nothing to empty the file.
    line: Option<String>,
    /// Told once it is on disk; orders without it are not synced.
    durable: Option<oneshot::Sender<()>>,
}

/// Handle to the writing thread. Dropping it ends the thread after its last line.
pub(crate) struct Journal {
    lines: Option<mpsc::Sender<Order>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Journal {
    /// Reads every line, cuts off a torn last one (a crash in the middle of a write) and opens for append.
    pub(crate) fn open<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>), SimulatorError> {
        let failed = |source| SimulatorError::Data { path: path.to_path_buf(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut rows = Vec::new();
        for (number, line) in text[..whole].lines().enumerate() {
            let row = serde_json::from_str(line).map_err(|source| SimulatorError::Damaged {
                path: path.to_path_buf(),
                line: number + 1,
                source,
            })?;
            rows.push(row);
        }
        file.set_len(whole as u64).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok((Self::start(file, path.to_path_buf()), rows))
    }

    fn start(file: File, path: PathBuf) -> Self {
        let (lines, inbox) = mpsc::channel();
        let thread = std::thread::spawn(move || write_all(file, &path, &inbox));
        Self { lines: Some(lines), thread: Some(thread) }
    }

    /// Appends without waiting: kept over a crash of the program, not of the machine.
    pub(crate) fn append(&self, line: String) {
        self.send(Order { line: Some(line), durable: None });
    }

    /// Appends and waits until the line is on disk.
    pub(crate) async fn append_durably(&self, line: String) {
        let (durable, done) = oneshot::channel();
        self.send(Order { line: Some(line), durable: Some(durable) });
        done.await.ok();
    }

    /// Empties the file.
    pub(crate) async fn clear(&self) {
        let (durable, done) = oneshot::channel();
        self.send(Order { line: None, durable: Some(durable) });
        done.await.ok();
    }

    fn send(&self, order: Order) {
        if let Some(lines) = &self.lines {
            lines.send(order).ok();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.lines.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn write_all(mut file: File, path: &Path, inbox: &mpsc::Receiver<Order>) {
    while let Ok(first) = inbox.recv() {
        let batch: Vec<Order> = std::iter::once(first).chain(inbox.try_iter()).collect();
        if let Err(error) = write_batch(&mut file, &batch) {
            // A simulator that forgets purchases would acquit the guilty: it stops instead.
            tracing::error!(file = %path.display(), %error, "the journal cannot be written; stopping");
            std::process::exit(1);
        }
        for order in batch {
            if let Some(durable) = order.durable {
                durable.send(()).ok();
            }
        }
    }
}

fn write_batch(file: &mut File, batch: &[Order]) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    for order in batch {
        if let Some(line) = &order.line {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        } else {
            bytes.clear();
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
        }
    }
    file.write_all(&bytes)?;
    if batch.iter().any(|order| order.durable.is_some()) { file.sync_data() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_survive_and_a_torn_one_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.jsonl");
        let (journal, rows) = Journal::open::<u32>(&path).unwrap();
        assert!(rows.is_empty());
        journal.append("1".to_owned());
        journal.append_durably("2".to_owned()).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n2\n");
        drop(journal);
        std::fs::write(&path, "1\n2\n3").unwrap();
        let (journal, rows) = Journal::open::<u32>(&path).unwrap();
        assert_eq!(rows, [1, 2]);
        journal.append_durably("4".to_owned()).await;
        drop(journal);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n2\n4\n");
    }

    #[test]
    fn damage_inside_is_reported_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.jsonl");
        std::fs::write(&path, "1\nx\n3\n").unwrap();
        assert!(matches!(Journal::open::<u32>(&path), Err(SimulatorError::Damaged { line: 2, .. })));
    }
}
