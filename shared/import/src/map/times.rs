//! Times as the older systems wrote them: naive ones were UTC.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// Shapes that were seen; fractions are optional in each.
const NAIVE: &[&str] = &["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];
/// What a number of seconds may be: 2001 to 2286; more are milliseconds.
const SECONDS: std::ops::Range<i64> = 1_000_000_000..10_000_000_000;

/// Reads a time; `None` for what is none.
pub(crate) fn read(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    if let Some(time) = NAIVE
        .iter()
        .find_map(|shape| NaiveDateTime::parse_from_str(text.trim_end_matches(['Z', 'z']), shape).ok())
    {
        return Some(time.and_utc());
    }
    if let Ok(time) = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%:z") {
        return Some(time.to_utc());
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(day.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    text.parse().ok().and_then(epoch)
}

/// Seconds or milliseconds since 1970.
pub(crate) fn epoch(number: i64) -> Option<DateTime<Utc>> {
    if SECONDS.contains(&number) {
        DateTime::from_timestamp(number, 0)
    } else if SECONDS.contains(&(number / 1000)) {
        DateTime::from_timestamp_millis(number)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_read() {
        for (text, expected) in [
            ("2025-11-23 10:11:12", Some("2025-11-23T10:11:12Z")),
            ("2025-11-23T10:11:12", Some("2025-11-23T10:11:12Z")),
            ("2025-11-23T10:11:12Z", Some("2025-11-23T10:11:12Z")),
            (" 2025-11-23 10:11:12.5 ", Some("2025-11-23T10:11:12.5Z")),
            ("2025-11-23T12:11:12+02:00", Some("2025-11-23T10:11:12Z")),
            ("2025-11-23 12:11:12+02:00", Some("2025-11-23T10:11:12Z")),
            ("2025-11-23", Some("2025-11-23T00:00:00Z")),
            ("1763892672", Some("2025-11-23T10:11:12Z")),
            ("1763892672000", Some("2025-11-23T10:11:12Z")),
            ("yesterday", None),
            ("", None),
            ("7", None),
            ("2025-13-01 00:00:00", None),
        ] {
            let expected = expected.map(|text| text.parse::<DateTime<Utc>>().unwrap());
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
