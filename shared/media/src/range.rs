//! The HTTP `Range` header against a file of known length (RFC 9110 section 14). Pure.

use std::ops::Range;

/// What to send for a `Range` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// No range, or one we may and do ignore: the whole file, status 200.
    Whole,
    /// One range, never empty: status 206 with `Content-Range: bytes start-(end-1)/length`.
    Part(Range<u64>),
    /// A range that starts past the end: status 416 with `Content-Range: bytes */length`.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `length` bytes.
///
/// Other units, several ranges and malformed headers are ignored, as the RFC allows: players only ever ask
/// for one range, and many small ones are a way to make a server work.
pub fn wanted(header: Option<&str>, length: u64) -> Wanted {
    let Some(header) = header else { return Wanted::Whole };
    let Some((unit, set)) = header.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Wanted::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Whole };
    let (first, last) = (number(first), number(last));
    match (first, last) {
        (Number::Empty, Number::Is(0)) => Wanted::Unsatisfiable,
        (Number::Empty, Number::Is(_)) if length == 0 => Wanted::Unsatisfiable,
        (Number::Empty, Number::Is(tail)) => Wanted::Part(length.saturating_sub(tail)..length),
        (Number::Is(start), Number::Is(end)) if end < start => Wanted::Whole,
        (Number::Is(start), Number::Empty | Number::Is(_)) if start >= length => Wanted::Unsatisfiable,
        (Number::Is(start), Number::Empty) => Wanted::Part(start..length),
        (Number::Is(start), Number::Is(end)) => Wanted::Part(start..end.saturating_add(1).min(length)),
        _ => Wanted::Whole,
    }
}

enum Number {
    Empty,
    Is(u64),
    Bad,
}

fn number(text: &str) -> Number {
    if text.is_empty() {
        return Number::Empty;
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Number::Bad;
    }
    // More digits than fit mean a position past any end.
    Number::Is(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_the_rest_ignored() {
        use Wanted::{Part, Unsatisfiable, Whole};
        let table = [
            (None, 100, Whole),
            (Some("bytes=0-0"), 100, Part(0..1)),
            (Some("bytes=0-"), 100, Part(0..100)),
            (Some("bytes=10-19"), 100, Part(10..20)),
            (Some("bytes=90-200"), 100, Part(90..100)),
            (Some("bytes=99-99"), 100, Part(99..100)),
            (Some("BYTES= 5-6"), 100, Part(5..7)),
            (Some("bytes=-1"), 100, Part(99..100)),
            (Some("bytes=-100"), 100, Part(0..100)),
            (Some("bytes=-500"), 100, Part(0..100)),
            (Some("bytes=-0"), 100, Unsatisfiable),
            (Some("bytes=100-"), 100, Unsatisfiable),
            (Some("bytes=100-200"), 100, Unsatisfiable),
            (Some("bytes=0-0"), 0, Unsatisfiable),
            (Some("bytes=-5"), 0, Unsatisfiable),
            (Some("bytes=0-99999999999999999999999"), 100, Part(0..100)),
            (Some("bytes=99999999999999999999999-"), 100, Unsatisfiable),
            (Some("bytes=0-18446744073709551615"), 100, Part(0..100)),
            (Some("bytes=5-2"), 100, Whole),
            (Some("bytes=0-1,5-6"), 100, Whole),
            (Some("items=0-1"), 100, Whole),
            (Some("bytes=a-b"), 100, Whole),
            (Some("bytes=+1-2"), 100, Whole),
            (Some("bytes=--1"), 100, Whole),
            (Some("bytes=-"), 100, Whole),
            (Some("bytes="), 100, Whole),
            (Some("bytes"), 100, Whole),
            (Some(""), 100, Whole),
        ];
        for (header, length, expected) in table {
            assert_eq!(wanted(header, length), expected, "{header:?} of {length}");
        }
    }
}
