//! When to stop: SIGTERM, SIGINT, or the death of whoever started us.
//!
//! A supervisor that is killed with -9 can tell nobody. So it starts each child with a pipe as standard input
//! and `SPOOL_EXIT_ON_STDIN_CLOSE=1`: the kernel closes the pipe whatever the supervisor died of, and the child
//! reads the end of the file as a request to stop. No unsafe code, no polling of parent ids.

use std::io::Read;

use tokio::signal::unix::{SignalKind, signal};
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
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            let stop = stop.clone();
            tokio::spawn(async move {
                loop {
                    let name = tokio::select! {
                        _ = terminate.recv() => "SIGTERM",
                        _ = interrupt.recv() => "SIGINT",
                    };
                    if stop.is_cancelled() {
                        tracing::warn!(signal = name, "asked to stop a second time: leaving at once");
                        std::process::exit(FORCED_EXIT_CODE);
                    }
                    tracing::info!(signal = name, "asked to stop");
                    stop.cancel();
                }
            });
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "signals cannot be watched: the process will stop without cleaning up");
        }
    }
    if std::env::var(EXIT_ON_STDIN_CLOSE).is_ok_and(|value| value == "1") {
        cancel_on_end_of(std::io::stdin(), stop.clone());
    }
    stop
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
}
