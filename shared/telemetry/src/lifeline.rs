//! When to stop: SIGTERM, SIGINT, or the death of whoever started us.
//!
//! A supervisor that is killed with -9 can tell nobody. So it starts each child with a pipe as standard input
//! and `SPOOL_EXIT_ON_STDIN_CLOSE=1`: the kernel closes the pipe whatever the supervisor died of, and the child
//! reads the end of the file as a request to stop. No unsafe code, no polling of parent ids.

use std::io::Read;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Set to `1` by a supervisor that holds the other end of our standard input.
pub const EXIT_ON_STDIN_CLOSE: &str = "SPOOL_EXIT_ON_STDIN_CLOSE";

/// Exit code after a second request to stop: 128 + SIGINT, as shells report it.
const FORCED_EXIT_CODE: i32 = 130;

/// A token that is cancelled on the first SIGTERM, SIGINT or, where the environment asks for it, end of standard
/// input. A second signal ends the process at once, for a person who will not wait.
///
/// Call it once, early in `main`, inside the runtime: from then on the signals no longer kill.
pub fn watch() -> CancellationToken {
    let stop = CancellationToken::new();
    let (asked, requests) = mpsc::unbounded_channel();
    for (kind, name) in [(SignalKind::terminate(), "SIGTERM"), (SignalKind::interrupt(), "SIGINT")] {
        match signal(kind) {
            Ok(mut signals) => {
                let asked = asked.clone();
                tokio::spawn(
                    async move { while signals.recv().await.is_some() && asked.send(name).is_ok() {} },
                );
            }
            Err(error) => {
                tracing::warn!(%error, signal = name, "cannot be watched: it will stop the process without cleaning up");
            }
        }
    }
    let first = stop.clone();
    tokio::spawn(async move {
        cancel_on_first(requests, first).await;
        std::process::exit(FORCED_EXIT_CODE);
    });
    if std::env::var(EXIT_ON_STDIN_CLOSE).is_ok_and(|value| value == "1") {
        cancel_on_end_of(std::io::stdin(), stop.clone());
    }
    stop
}

/// Ends at the second signal. A supervisor sends one and closes the pipe too, so it is signals that count, not whether
/// the token is cancelled already: whichever of the two comes first, the process has its time to finish.
async fn cancel_on_first(mut requests: mpsc::UnboundedReceiver<&'static str>, stop: CancellationToken) {
    let Some(signal) = requests.recv().await else { return std::future::pending().await };
    tracing::info!(signal, "asked to stop");
    stop.cancel();
    let Some(signal) = requests.recv().await else { return std::future::pending().await };
    tracing::warn!(signal, "asked to stop a second time: leaving at once");
}

/// A plain thread, because tokio's standard input would hold up the end of the runtime until a byte comes.
fn cancel_on_end_of(mut input: impl Read + Send + 'static, stop: CancellationToken) {
    let watcher = std::thread::Builder::new().name("lifeline".to_owned());
    let started = watcher.spawn(move || {
        let mut ignored = [0_u8; 64];
        loop {
            match input.read(&mut ignored) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        tracing::info!("the supervisor is gone: stopping");
        stop.cancel();
    });
    if let Err(error) = started {
        tracing::warn!(%error, "standard input cannot be watched: this process may outlive its supervisor");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_the_pipe_cancels_and_bytes_do_not() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let stop = CancellationToken::new();
        cancel_on_end_of(reader, stop.clone());
        std::io::Write::write_all(&mut writer, b"still here").unwrap();
        assert!(!stop.is_cancelled());
        drop(writer);
        stop.cancelled().await;
    }

    #[tokio::test]
    async fn a_signal_after_the_end_of_the_pipe_is_no_second_request() {
        let stop = CancellationToken::new();
        stop.cancel();
        let (signals, requests) = mpsc::unbounded_channel();
        let mut leaving = std::pin::pin!(cancel_on_first(requests, stop));
        signals.send("SIGTERM").unwrap();
        tokio::select! {
            biased;
            () = &mut leaving => panic!("left at the first signal"),
            () = std::future::ready(()) => {}
        }
        signals.send("SIGTERM").unwrap();
        leaving.await;
    }
}
