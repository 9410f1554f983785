//! What becomes of a webhook after a try: pure, so that a table can say all of it.

use spool_db::hooks::sending::Next;
use spool_job::hook_event::HookEvent;
use spool_provider::hook::Reply;
use std::time::Duration;
use uuid::Uuid;

/// Seconds after the 1st, 2nd, … failed try: eleven tries in a little less than a day.
const DELAYS: [u64; 10] = [5, 30, 120, 600, 1800, 3600, 7200, 14_400, 21_600, 36_000];
/// An endpoint that asks to be left alone is not listened to for longer.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// The address is gone for good.
const GONE: u16 = 410;
/// Too many requests, and out of service: here `retry-after` means something.
const ASKS_FOR_TIME: [u16; 2] = [429, 503];

/// What was tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tried<'a> {
    /// Which delivery.
    pub(crate) delivery: Uuid,
    /// The kind of event.
    pub(crate) event: &'a str,
    /// Failed tries before this one.
    pub(crate) before: i32,
}

/// Whether the endpoint says that it is gone.
pub(crate) fn is_gone(reply: &Reply) -> bool {
    reply.status == Some(GONE)
}

/// What to do next.
pub(crate) fn next(tried: Tried<'_>, reply: &Reply) -> Next {
    if reply.is_taken() {
        return Next::Delivered;
    }
    // Whoever pings wants to know now.
    if is_gone(reply) || tried.event == HookEvent::Ping.as_str() {
        return Next::GivenUp;
    }
    let Some(seconds) = usize::try_from(tried.before).ok().and_then(|index| DELAYS.get(index)) else {
        return Next::GivenUp;
    };
    // Spread by up to a tenth either way, so that what failed together does not come back together.
    let chance = f64::from(tried.delivery.as_bytes()[15]) / 255.0;
    let delay = Duration::from_secs(*seconds).mul_f64(0.9 + 0.2 * chance);
    let asked =
        reply.retry_after.filter(|_| reply.status.is_some_and(|status| ASKS_FOR_TIME.contains(&status)));
    Next::Again(delay.max(asked.unwrap_or_default().min(LONGEST_ASKED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(before: i32) -> Tried<'static> {
        Tried { delivery: Uuid::nil(), event: "job.completed", before }
    }

    fn answered(status: u16) -> Reply {
        Reply { status: Some(status), ..Reply::default() }
    }

    #[test]
    fn tries_last_about_a_day_and_then_end() {
        let hours: u64 = DELAYS.iter().sum::<u64>() / 3600;
        assert_eq!(hours, 23);
        for (status, before, wanted) in [
            (200, 0, Next::Delivered),
            (204, 99, Next::Delivered),
            (410, 0, Next::GivenUp),
            (500, 0, Next::Again(Duration::from_millis(4500))),
            (301, 9, Next::Again(Duration::from_secs(32_400))),
            (404, 10, Next::GivenUp),
        ] {
            assert_eq!(next(tried(before), &answered(status)), wanted, "{status} after {before}");
        }
        assert_eq!(next(tried(10), &Reply::not_sent("no way")), Next::GivenUp);
        let ping = Tried { event: HookEvent::Ping.as_str(), ..tried(0) };
        assert_eq!(next(ping, &answered(500)), Next::GivenUp);
        assert_eq!(next(ping, &answered(200)), Next::Delivered);
    }

    #[test]
    fn delays_are_spread_and_an_endpoint_may_ask_for_more() {
        let late = Tried { delivery: Uuid::max(), ..tried(0) };
        assert_eq!(next(late, &answered(500)), Next::Again(Duration::from_millis(5500)));
        for (status, asked, wanted) in [(429, 60, 60), (503, 60, 60), (503, 1_000_000, 3600)] {
            let reply = Reply { retry_after: Some(Duration::from_secs(asked)), ..answered(status) };
            assert_eq!(next(tried(0), &reply), Next::Again(Duration::from_secs(wanted)), "{status} {asked}");
        }
        let reply = Reply { retry_after: Some(Duration::from_secs(60)), ..answered(500) };
        assert_eq!(
            next(tried(0), &reply),
            Next::Again(Duration::from_millis(4500)),
            "only where it means something"
        );
    }
}
