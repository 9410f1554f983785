//! A line as one flat JSON object.

use serde::Serialize;
use tracing::Level;

use super::values::Value;

/// Opens it with what every line has.
pub(super) fn begin(out: &mut Vec<u8>, now: &str, level: Level, target: &str, message: &str) {
    for part in ["{\"timestamp\":\"", now, "\",\"level\":\"", level.as_str(), "\",\"target\":"] {
        out.extend_from_slice(part.as_bytes());
    }
    put(out, target);
    out.extend_from_slice(b",\"message\":");
    put(out, message);
}

pub(super) fn field(out: &mut Vec<u8>, name: &str, value: Value<&str>) {
    out.push(b',');
    // All bytes at a time: that is faster than to stop at the first.
    if name
        .bytes()
        .fold(true, |plain, byte| plain & (byte.is_ascii_alphanumeric() | matches!(byte, b'_' | b'.')))
    {
        // Nearly all: nothing in it needs another spelling.
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
    } else {
        put(out, name);
        out.push(b':');
    }
    match value {
        Value::Text(value) => put(out, value),
        Value::Int(value) => put(out, &value),
        Value::Uint(value) => put(out, &value),
        Value::Float(value) => put_float(out, value),
        Value::Bool(value) => put(out, &value),
    }
}

pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}

/// Up to here each of them is another number.
const MOST_THOUSANDTHS: u64 = 1 << 52;

/// Times are told in thousandths, for which there is a shorter way than for any number.
#[expect(clippy::float_cmp, reason = "only what is read back as this very number may be told so")]
fn put_float(out: &mut Vec<u8>, value: f64) {
    let thousandths = (value * 1000.0 + 0.5) as u64;
    if thousandths < MOST_THOUSANDTHS && thousandths as f64 / 1000.0 == value {
        let (whole, rest) = (thousandths / 1000, thousandths % 1000);
        put(out, &whole);
        out.push(b'.');
        out.extend([rest / 100, rest / 10 % 10, rest % 10].map(|digit| b'0' + digit as u8));
    } else {
        // JSON has no infinity: it is null.
        put(out, &value);
    }
}

fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing to memory cannot fail, and text and numbers are JSON.
    serde_json::to_writer(out, value).ok();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(value: f64) -> String {
        let mut out = Vec::new();
        put_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn thousandths_are_told_with_three_digits_and_others_as_they_are() {
        for (value, wanted) in [
            (0.0, "0.000"),
            (0.015, "0.015"),
            (2820.636, "2820.636"),
            (7.0, "7.000"),
            (0.015_593, "0.015593"),
            (-1.5, "-1.5"),
            (1e300, "1e+300"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(told(value), wanted);
        }
    }

    proptest! {
        #[test]
        fn what_is_told_is_the_number(value in prop_oneof![any::<f64>(), (0u64..1 << 53).prop_map(|n| n as f64 / 1000.0)]) {
            prop_assume!(value.is_finite());
            let read: f64 = told(value).parse().unwrap();
            prop_assert!((read - value).abs() < f64::MIN_POSITIVE, "{read}");
        }
    }
}
