//! Places in lists, as callers hand them back: a word that means nothing to them.

use std::fmt;

use chrono::DateTime;
use spool_db::job_list::{ListedJob, Place};

use crate::error::{ApiError, Code};

/// After this job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub Place);

impl Cursor {
    pub fn after(job: &ListedJob) -> Self {
        Self(Place { at: job.inserted_at, id: job.id })
    }

    /// Whatever is no cursor of ours is refused.
    pub fn read(word: &str) -> Result<Self, ApiError> {
        let is_ours = word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(word, 16).ok().filter(|_| is_ours);
        let place = number.and_then(|number| {
            let (micros, id) = ((number >> 64) as i64, number as i64);
            DateTime::from_timestamp_micros(micros).map(|at| Place { at, id })
        });
        place.map(Self).ok_or_else(|| {
            let why = "the cursor is not one of ours: use next_cursor of the page before";
            ApiError::bad_request(Code::InvalidQuery, why)
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0.at.timestamp_micros() as u64, self.0.id as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went_and_nothing_else_is_one() {
        for (micros, id) in [(1_763_720_100_123_456, 17), (0, i64::MAX), (-1, 1)] {
            let at = DateTime::from_timestamp_micros(micros).expect("a time");
            let cursor = Cursor(Place { at, id });
            assert_eq!(Cursor::read(&cursor.to_string()).expect("ours"), cursor);
        }
        for word in ["", "x", "17", &"f".repeat(33), &"g".repeat(32), "+0000000000000000000000000000001"] {
            assert_eq!(Cursor::read(word).expect_err("not ours").code(), Code::InvalidQuery, "{word}");
        }
    }
}
