//! From where a claimer looks for ready tasks.
//!
//! A claim looks from the beginning of its queue, so that what is urgent comes first. While an old snapshot is open, what was claimed
//! before leaves index entries there that nobody may clear away, and each look reads past all of them. So when a look from the
//! beginning was slow, the next ones go on where it ended, for ten times as long as it took and a second at most: reading past the
//! dead costs a tenth, and a task that belongs before that place (it is urgent, or was given back) waits no longer than this.

use std::time::{Duration, Instant};

use crate::claim::Place;

/// A look of the largest size takes less, unless there is much to read past.
const SLOW: Duration = Duration::from_millis(20);
/// For so many times as long as a slow look took, those after it go on from its end.
const TIMES: u32 = 10;
/// But no longer: a look may be slow because the machine is, too.
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Cursor {
    place: Place,
    until: Instant,
}

impl Cursor {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { place: Place::FIRST, until: now }
    }

    /// Where to begin a look.
    pub(crate) fn place(&self, now: Instant) -> Place {
        if now < self.until { self.place } else { Place::FIRST }
    }

    /// A look from this place brought tasks up to `last`, or none.
    pub(crate) fn looked(&mut self, from: Place, last: Option<Place>, began: Instant, ended: Instant) {
        let took = ended.saturating_duration_since(began);
        if from == Place::FIRST {
            self.until = if took > SLOW { ended + (took * TIMES).min(LONGEST) } else { ended };
        } else if last.is_none() {
            self.until = ended;
        }
        self.place = last.unwrap_or(self.place);
    }

    /// Where a look from this place found no more: in how long there may be some before it.
    pub(crate) fn again(&self, from: Place, now: Instant) -> Option<Duration> {
        (from != Place::FIRST).then(|| self.until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn place(id: i64) -> Place {
        Place::new(1.0, id)
    }

    #[test]
    fn quick_looks_are_always_from_the_beginning() {
        let now = Instant::now();
        let mut cursor = Cursor::new(now);
        assert_eq!(cursor.place(now), Place::FIRST);
        cursor.looked(Place::FIRST, Some(place(7)), now, now + SLOW);
        assert_eq!(cursor.place(now + SLOW), Place::FIRST);
        assert_eq!(cursor.again(Place::FIRST, now + SLOW), None, "it has seen all");
    }

    #[test]
    fn after_a_slow_one_the_next_go_on_where_the_last_ended_for_ten_times_as_long() {
        let begin = Instant::now();
        let mut cursor = Cursor::new(begin);
        let ended = begin + 2 * SLOW;
        cursor.looked(Place::FIRST, Some(place(7)), begin, ended);
        assert_eq!(cursor.place(ended), place(7));
        cursor.looked(place(7), Some(place(9)), ended, ended + 5 * SLOW);
        assert_eq!(cursor.place(ended + 5 * SLOW), place(9), "a slow look in between changes only the place");
        assert_eq!(cursor.again(place(9), ended + 5 * SLOW), Some(15 * SLOW));
        assert_eq!(cursor.place(ended + 19 * SLOW), place(9));
        assert_eq!(cursor.place(ended + 20 * SLOW), Place::FIRST);
    }

    #[test]
    fn what_was_slow_for_long_is_not_followed_for_longer() {
        let begin = Instant::now();
        let mut cursor = Cursor::new(begin);
        let ended = begin + 3 * LONGEST;
        cursor.looked(Place::FIRST, Some(place(7)), begin, ended);
        assert_eq!(cursor.place(ended + LONGEST / 2), place(7));
        assert_eq!(cursor.place(ended + LONGEST), Place::FIRST);
    }

    #[test]
    fn where_nothing_is_left_it_looks_from_the_beginning_at_once() {
        let begin = Instant::now();
        let mut cursor = Cursor::new(begin);
        let ended = begin + 2 * SLOW;
        cursor.looked(Place::FIRST, Some(place(7)), begin, ended);
        cursor.looked(place(7), None, ended, ended + MS);
        assert_eq!(cursor.again(place(7), ended + MS), Some(Duration::ZERO));
        assert_eq!(cursor.place(ended + MS), Place::FIRST);
    }
}
