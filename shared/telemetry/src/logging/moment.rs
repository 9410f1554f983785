//! The time of a line, UTC.

use chrono::DateTime;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// The text of the last moment: most lines come within a second of the one before.
#[derive(Debug, Default)]
pub(super) struct Moment {
    second: u64,
    text: String,
    /// Length of what is the same within a second.
    same: usize,
}

impl Moment {
    /// Now, to the microsecond.
    pub(super) fn now(&mut self) -> &str {
        #[expect(
            clippy::disallowed_methods,
            reason = "a line tells when it was written, whatever clock the program goes by"
        )]
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.at(since.as_secs(), since.subsec_micros())
    }

    fn at(&mut self, second: u64, micros: u32) -> &str {
        if self.text.is_empty() || self.second != second {
            let day = i64::try_from(second).ok().and_then(|second| DateTime::from_timestamp(second, 0));
            self.text.clear();
            // Writing to a string cannot fail.
            write!(self.text, "{}", day.unwrap_or_default().format("%Y-%m-%dT%H:%M:%S.")).ok();
            self.same = self.text.len();
            self.second = second;
        }
        self.text.truncate(self.same);
        // Digit by digit: there is one of these in every line, and a format is looked through for each.
        let mut unit = 100_000;
        while unit > 0 {
            self.text.push(char::from(b'0' + (micros / unit % 10) as u8));
            unit /= 10;
        }
        self.text.push('Z');
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_to_the_microsecond_whatever_was_before() {
        let mut moment = Moment::default();
        assert_eq!(moment.at(0, 7), "1970-01-01T00:00:00.000007Z");
        assert_eq!(moment.at(1_795_339_601, 999_999), "2026-11-22T09:26:41.999999Z");
        assert_eq!(moment.at(1_795_339_601, 0), "2026-11-22T09:26:41.000000Z");
        assert_eq!(moment.at(1_795_339_600, 12), "2026-11-22T09:26:40.000012Z", "clocks are set back, too");
    }
}
