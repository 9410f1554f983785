//! Money as integer micro-dollars: $1.00 is 1,000,000. Sums are exact and never pass a float.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An amount in micro-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `unit_price` for `milli_units` thousandths of a unit, rounded half up: providers report
    /// produced seconds and GPU time to the millisecond.
    pub fn for_milli_units(unit_price: Self, milli_units: i64) -> Self {
        let product = i128::from(unit_price.0) * i128::from(milli_units);
        Self(((product + 500).div_euclid(1000)) as i64)
    }

    /// The amount in dollars, for JSON fields that the v3 contract defines as numbers.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1_000_000.0
    }
}

impl std::ops::Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Micros {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, std::ops::Add::add)
    }
}

/// A text that is no amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no amount in dollars, such as 150, $99.50 or 0.000001")]
pub struct NoAmount(String);

/// Dollars with up to six decimals, with or without a dollar sign; exact.
impl std::str::FromStr for Micros {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Self, NoAmount> {
        let refuse = || NoAmount(text.to_owned());
        let amount = text.trim().trim_start_matches('$');
        let (dollars, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (dollars.is_empty() && fraction.is_empty())
            || fraction.len() > 6
            || !all_digits(dollars)
            || !all_digits(fraction)
        {
            return Err(refuse());
        }
        let whole: i64 = if dollars.is_empty() { 0 } else { dollars.parse().map_err(|_| refuse())? };
        let micros: i64 = format!("{fraction:0<6}").parse().map_err(|_| refuse())?;
        whole.checked_mul(1_000_000).and_then(|whole| whole.checked_add(micros)).map(Self).ok_or_else(refuse)
    }
}

/// Dollars and cents, with more digits only where there are any: `$1.60`, `$0.0924`.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let abs = self.0.unsigned_abs();
        let fraction = format!("{:06}", abs % 1_000_000);
        let digits = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{sign}${}.{}", abs / 1_000_000, &fraction[..digits])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_people_write_it() {
        for (micros, text) in [
            (0, "$0.00"),
            (1_600_000, "$1.60"),
            (92_400, "$0.0924"),
            (1, "$0.000001"),
            (-2_500_000, "-$2.50"),
        ] {
            assert_eq!(Micros(micros).to_string(), text);
        }
    }

    #[test]
    fn is_read_as_people_write_it() {
        for (text, micros) in [
            ("150", 150_000_000),
            ("$99.50", 99_500_000),
            ("0.000001", 1),
            (".4", 400_000),
            ("$1.", 1_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Micros(micros)), "{text}");
        }
        for bad in ["", "$", ".", "1.0000001", "-1", "1e3", "1,50", "99999999999999", "+1"] {
            assert!(bad.parse::<Micros>().is_err(), "{bad}");
        }
    }

    #[test]
    fn milli_units_round_half_up() {
        // 33.125 GPU seconds at $0.0014.
        assert_eq!(Micros::for_milli_units(Micros(1400), 33_125), Micros(46_375));
        assert_eq!(Micros::for_milli_units(Micros(1), 1_500), Micros(2));
        assert_eq!(Micros::for_milli_units(Micros(1), 1_499), Micros(1));
    }
}
