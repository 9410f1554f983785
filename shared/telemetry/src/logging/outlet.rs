//! Where lines go. A line that comes alone is written when it is made. Where they come by the thousand a call of the system for each
//! would be a third of what they cost: those that follow a written one within milliseconds are kept for so long and written together.
//! Warnings and errors are written at once, with all that was kept before them.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A process that is killed takes at most the lines of this time with it.
const KEPT: Duration = Duration::from_millis(5);
/// Kept lines are not waited for when they are more.
const MOST_BYTES: usize = 64 * 1024;

pub(super) struct Outlet<W> {
    shared: Arc<Shared<W>>,
}

struct Shared<W> {
    lines: Mutex<Lines<W>>,
    kept_some: Condvar,
}

struct Lines<W> {
    out: W,
    kept: Vec<u8>,
    written_at: Option<Instant>,
    /// Nobody will come for what is kept.
    at_once: bool,
}

impl<W: Write + Send + 'static> Outlet<W> {
    /// An outlet that keeps nothing.
    pub(super) fn at_once(out: W) -> Self {
        let lines = Lines { out, kept: Vec::new(), written_at: None, at_once: true };
        Self { shared: Arc::new(Shared { lines: Mutex::new(lines), kept_some: Condvar::new() }) }
    }

    /// Another hold on the same outlet.
    pub(super) fn again(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }

    /// Keeps lines from now on, as long as `Kept` lives.
    pub(super) fn keep(&self) -> Kept {
        let of_thread = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("log lines".to_owned());
        // Without the thread every line is written at once.
        let runs = thread.spawn(move || of_thread.write_what_is_kept()).is_ok();
        self.shared.lock().at_once = !runs;
        let shared = Arc::clone(&self.shared);
        Kept(Some(Box::new(move || {
            let mut lines = shared.lock();
            lines.at_once = true;
            lines.write();
        })))
    }

    pub(super) fn line(&self, line: &[u8], is_urgent: bool) {
        let mut lines = self.shared.lock();
        let is_first = lines.kept.is_empty();
        lines.kept.extend_from_slice(line);
        if is_urgent || lines.at_once || lines.kept.len() > MOST_BYTES || (is_first && lines.is_alone()) {
            lines.write();
        } else if is_first {
            self.shared.kept_some.notify_one();
        }
    }
}

impl<W: Write> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, Lines<W>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_what_is_kept(&self) {
        loop {
            let lines = self.kept_some.wait_while(self.lock(), |lines| lines.kept.is_empty());
            let written_at = lines.unwrap_or_else(PoisonError::into_inner).written_at;
            thread::sleep(written_at.map_or(KEPT, |at| KEPT.saturating_sub(at.elapsed())));
            self.lock().write();
        }
    }
}

impl<W: Write> Lines<W> {
    /// Nothing was written for so long that it waits for no other.
    fn is_alone(&self) -> bool {
        self.written_at.is_none_or(|at| at.elapsed() >= KEPT)
    }

    fn write(&mut self) {
        // Whole lines, so that those of threads do not mix. Who cannot write a log line has nobody to tell.
        self.out.write_all(&self.kept).ok();
        self.kept.clear();
        self.written_at = Some(Instant::now());
    }
}

/// While it lives lines may be kept for some milliseconds. To be dropped when the program ends.
#[must_use = "without it every line is written by itself"]
pub struct Kept(Option<Box<dyn FnOnce() + Send>>);

impl Kept {
    pub(super) const fn nothing() -> Self {
        Self(None)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(write) = self.0.take() {
            write();
        }
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Sends each write.
    struct Writes(mpsc::Sender<String>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if !bytes.is_empty() {
                self.0.send(String::from_utf8_lossy(bytes).into_owned()).ok();
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn outlet() -> (Outlet<Writes>, mpsc::Receiver<String>) {
        let (sender, writes) = mpsc::channel();
        (Outlet::at_once(Writes(sender)), writes)
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn nothing_is_kept_unless_somebody_sees_to_it() {
        let (outlet, writes) = outlet();
        outlet.line(b"one\n", false);
        outlet.line(b"two\n", false);
        assert_eq!(writes.try_iter().collect::<Vec<_>>(), ["one\n", "two\n"]);
    }

    #[test]
    fn what_is_kept_comes_by_itself_in_its_order() {
        let (outlet, writes) = outlet();
        let _kept = outlet.keep();
        let all = "one\ntwo\nthree\n".repeat(300);
        for line in all.split_inclusive('\n') {
            outlet.line(line.as_bytes(), false);
        }
        let mut came = String::new();
        while came.len() < all.len() {
            came.push_str(&writes.recv_timeout(PATIENCE).expect("the rest comes by itself"));
        }
        assert_eq!(came, all);
    }

    #[test]
    fn a_warning_takes_what_was_kept_with_it_and_so_does_the_end() {
        let (outlet, writes) = outlet();
        let kept = outlet.keep();
        for line in ["one\n", "two\n", "three\n"] {
            outlet.line(line.as_bytes(), false);
        }
        outlet.line(b"beware\n", true);
        assert!(writes.try_iter().collect::<String>().ends_with("three\nbeware\n"));
        outlet.line(b"bye\n", false);
        drop(kept);
        outlet.line(b"afterwards\n", false);
        assert!(writes.try_iter().collect::<String>().ends_with("bye\nafterwards\n"));
    }
}
