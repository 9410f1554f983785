//! Waiting for an outcome, with a bound. Nothing is asserted about how long it took.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

/// Longest wait for anything: far beyond what it takes on a busy two-core machine.
const BOUND: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(100);

/// Asks until there is an answer.
///
/// # Panics
/// When there is none within three minutes.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl FnMut() -> F) -> T {
    within(BOUND, what, ask).await
}

/// Asks until there is an answer, for work that takes longer than anything usual.
///
/// # Panics
/// When there is none within the bound.
pub async fn within<T, F: Future<Output = Option<T>>>(
    bound: Duration,
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < bound, "waited {bound:?} in vain for {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks for each of them until all have an answer.
///
/// # Panics
/// When some have none within the bound; it names them.
pub async fn for_each<K: Display, T>(
    bound: Duration,
    mut open: Vec<K>,
    mut ask: impl AsyncFnMut(&K) -> Option<T>,
) -> Vec<(K, T)> {
    let begin = Instant::now();
    let mut answered = Vec::new();
    loop {
        let mut left = Vec::new();
        for key in open {
            match ask(&key).await {
                Some(answer) => answered.push((key, answer)),
                None => left.push(key),
            }
        }
        if left.is_empty() {
            return answered;
        }
        let names = || left.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
        assert!(begin.elapsed() < bound, "waited {bound:?} in vain for\n  {}", names());
        open = left;
        tokio::time::sleep(PAUSE).await;
    }
}
