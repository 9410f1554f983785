//! Those who got no token of the reads come again one after the other, twice as often as this process got tokens: enough that few are
//! lost because nobody came for them, and no crowd.

use std::time::{Duration, Instant};

/// However long the line is, everyone looks again so long after its beginning: the limit may have been raised.
const LONGEST: Duration = Duration::from_secs(30);
/// Of one chunk that came late nothing worse is concluded.
const WIDEST: Duration = Duration::from_secs(1);

/// Before anything was seen.
const UNKNOWN: Duration = Duration::from_millis(50);

/// A line of places in time. Nobody is called up: whoever comes too early, or finds that another was faster, gets a new place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// The last place.
    ends: Instant,
    /// From one place to the next.
    gap: Duration,
    served: Instant,
    /// Someone got a place since then.
    refused: bool,
}

impl Line {
    pub(super) fn new(now: Instant) -> Self {
        Self { ends: now, gap: UNKNOWN, served: now, refused: false }
    }

    /// The next place; the line begins at `soonest`.
    pub(super) fn place(&mut self, now: Instant, soonest: Duration) -> Duration {
        self.refused = true;
        let next = (self.ends + self.gap).saturating_duration_since(now);
        let wait = next.clamp(soonest, soonest + LONGEST);
        self.ends = now + wait;
        wait
    }

    /// Tokens came: if some had waited for them, the time since the ones before is what so many tokens take, all other processes'
    /// included. `step` is what they would take without others.
    pub(super) fn served(&mut self, now: Instant, before: u32, step: Duration) {
        let seen =
            if self.refused { ((now - self.served) / before.max(1)).min(WIDEST).max(step) } else { step };
        self.gap = (self.gap + seen / 2) / 2;
        self.served = now;
        self.refused = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(20);
    const SOON: Duration = Duration::from_millis(300);

    /// A line that got chunks of ten so far apart, each with someone waiting.
    fn seen(apart: Duration) -> (Line, Instant) {
        let mut now = Instant::now();
        let mut line = Line::new(now);
        for _ in 0..20 {
            line.place(now, SOON);
            now += apart;
            line.served(now, 10, STEP);
        }
        (line, now + LONGEST)
    }

    #[test]
    fn places_are_half_as_far_apart_as_tokens_were() {
        // The account has one each 20 ms, this process got one each 80 ms.
        let (mut line, now) = seen(40 * STEP);
        let places = [(); 3].map(|()| line.place(now, SOON).as_millis());
        assert_eq!(places, [300, 340, 380]);
        assert_eq!(line.place(now + SOON, SOON).as_millis(), 300, "some places are over");
    }

    #[test]
    fn nobody_waits_much_longer_than_the_first() {
        let (mut line, now) = seen(100 * LONGEST);
        let places: Vec<_> = (0..100).map(|_| line.place(now, SOON)).collect();
        assert_eq!(places[1].saturating_sub(places[0]).as_millis(), 499, "one late chunk means little");
        assert_eq!(places.last(), Some(&(SOON + LONGEST)));
        let pause = 20 * LONGEST;
        assert!(line.place(now, pause) >= pause);
    }

    #[test]
    fn a_line_that_was_empty_says_nothing_about_others() {
        let (mut line, mut now) = seen(40 * STEP);
        for _ in 0..20 {
            now += LONGEST;
            line.served(now, 10, STEP);
        }
        let places = [(); 2].map(|()| line.place(now, SOON).as_millis());
        assert_eq!(places, [300, 310]);
    }
}
