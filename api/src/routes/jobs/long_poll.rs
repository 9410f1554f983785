//! `?wait=30s`: the answer is held until the job changes, or the time is over.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, header};
use tokio::time::Instant;

use super::polling::{Found, look};
use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::metrics::OpenStream;
use crate::state::AppState;

/// Longest wait: proxies give up on connections that say nothing for longer.
const LONGEST: Duration = Duration::from_secs(60);

/// `30s`, `1500ms` or seconds; nothing is no wait.
pub fn parse(given: Option<&str>) -> Result<Duration, ApiError> {
    let Some(given) = given else { return Ok(Duration::ZERO) };
    let (number, unit) = match given.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (given.strip_suffix('s').unwrap_or(given), 1000),
    };
    let wait = number.parse::<u32>().ok().map(|number| Duration::from_millis(u64::from(number) * unit));
    wait.filter(|wait| *wait <= LONGEST).ok_or_else(|| {
        let most = LONGEST.as_secs();
        let why = format!("wait must be a time of at most {most} seconds, such as 30s");
        ApiError::bad_request(Code::InvalidQuery, why)
    })
}

/// Looks until there is something new: another answer than that of `if-none-match`, or, without one, a change from now on.
pub async fn hold(
    state: &AppState,
    caller: &Caller,
    id: i64,
    headers: &HeaderMap,
    wait: Duration,
) -> Result<Found, ApiError> {
    let end = Instant::now() + wait;
    let has_answer = headers.contains_key(header::IF_NONE_MATCH);
    // Before the first look: what changes in between is heard of.
    let mut changes = state.feed.changes.subscribe(id);
    let mut first = None;
    let mut room = None;
    loop {
        let found = look(state, caller, id, headers).await?;
        let is_news = match &first {
            _ if has_answer => found.is_news(),
            None => found.state.is_final(),
            Some(first) => *first != found.tag,
        };
        let left = end.saturating_duration_since(Instant::now());
        if is_news || left.is_zero() || state.feed.closing.is_cancelled() {
            return Ok(found);
        }
        if room.is_none() {
            let Ok(permit) = Arc::clone(&state.feed.streams).try_acquire_owned() else { return Ok(found) };
            room = Some((permit, OpenStream::new("wait")));
        }
        first.get_or_insert(found.tag);
        tokio::select! {
            () = changes.changed() => {}
            () = tokio::time::sleep(left.min(state.feed.tick())) => {}
            () = state.feed.closing.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_times_of_a_minute_at_most() {
        for (given, wanted) in [
            ("30s", Some(30_000)),
            ("30", Some(30_000)),
            ("1500ms", Some(1_500)),
            ("0", Some(0)),
            ("60s", Some(60_000)),
            ("61s", None),
            ("60001ms", None),
            ("-1", None),
            ("s", None),
            ("1m", None),
            ("99999999999", None),
        ] {
            assert_eq!(parse(Some(given)).ok(), wanted.map(Duration::from_millis), "{given}");
        }
        assert_eq!(parse(None).ok(), Some(Duration::ZERO));
    }
}
