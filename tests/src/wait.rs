//! Waiting for an outcome, with a bound. Nothing is asserted about how long it took.

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
