//! The price of one paid call: by the list, by what such calls have cost, and how far off the list it was in the end.
//!
//! A call is settled at the price per unit that was quoted for it, on the day of its intent: what is held and what is booked
//! then differ by what the provider says it produced, and by nothing else.

use crate::catalog::{CatalogError, Model};
use crate::money::Micros;
use chrono::NaiveDate;

/// Up to this many thousandths a cost may differ from its list price without being noted.
pub const USUAL_VARIANCE_PERMILLE: i64 = 200;

/// What one paid call will cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// List price of a unit.
    pub unit: Micros,
    /// What was ordered at that price.
    pub list: Micros,
    /// What is held for it: what it can cost at most as far as the model's description says, or what 95 of 100 such calls have
    /// cost, whichever is more.
    pub held: Micros,
}

/// The quote for `media_ms` of media by `model` at the prices of `day`. `learned` is what 95 of 100 such calls have cost at most,
/// in thousandths of their list price.
pub fn quote(
    model: &Model,
    day: NaiveDate,
    resolution: &str,
    audio: bool,
    media_ms: i64,
    learned: Option<i32>,
) -> Result<Quote, CatalogError> {
    let unit = model.unit_price(day, resolution, audio)?;
    let list = Micros::for_milli_units(unit, model.expected_milli_units(media_ms));
    let most = Micros::for_milli_units(unit, model.most_milli_units(media_ms));
    let held = learned.map_or(most, |permille| at_permille(list, permille).max(most));
    Ok(Quote { unit, list, held })
}

/// `list` times `permille` thousandths, rounded up.
pub fn at_permille(list: Micros, permille: i32) -> Micros {
    Micros(((i128::from(list.0) * i128::from(permille) + 999).div_euclid(1000)) as i64)
}

/// By how many thousandths of `list` the cost is above (or, negative, below) it, where that is more than a fifth.
pub fn variance_permille(list: Micros, cost: Micros) -> Option<i32> {
    if list.0 <= 0 {
        return None;
    }
    let permille = (i128::from(cost.0) - i128::from(list.0)) * 1000 / i128::from(list.0);
    let off = permille.abs() > i128::from(USUAL_VARIANCE_PERMILLE);
    off.then(|| i32::try_from(permille).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use crate::prediction::Purpose;

    fn day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 21).unwrap()
    }

    #[test]
    fn what_was_learned_is_held_only_above_what_was_ordered() {
        let veo = catalog::find("google/veo-3.1-fast", Purpose::Render).unwrap();
        for (learned, held) in
            [(None, 400_000), (Some(700), 400_000), (Some(1000), 400_000), (Some(1250), 500_000)]
        {
            let quote = quote(veo, day(), "1080p", false, 4_000, learned).unwrap();
            assert_eq!((quote.unit, quote.list), (Micros(100_000), Micros(400_000)));
            assert_eq!(quote.held, Micros(held), "{learned:?}");
        }
        assert_eq!(at_permille(Micros(3), 1001), Micros(4), "rounded up");
    }

    #[test]
    fn of_gpu_time_all_is_held_that_the_provider_lets_a_run_take() {
        let musician = catalog::find("musicgen", Purpose::Music).unwrap();
        assert_eq!(musician.cancel_after_s, 600);
        for learned in [None, Some(1250), Some(9000)] {
            // 4 s of music: 33 GPU seconds are expected.
            let quote = quote(musician, day(), "", false, 4_000, learned).unwrap();
            assert_eq!((quote.unit, quote.list), (Micros(1_400), Micros(46_200)));
            assert_eq!(quote.held, Micros(600 * 1_400), "{learned:?}");
        }
    }

    #[test]
    fn more_than_a_fifth_off_is_noted() {
        for (cost, noted) in
            [(1_200, None), (1_201, Some(201)), (800, None), (799, Some(-201)), (0, Some(-1000))]
        {
            assert_eq!(variance_permille(Micros(1_000), Micros(cost)), noted, "{cost}");
        }
        assert_eq!(variance_permille(Micros(1_000_000), Micros(1_200_999)), None, "by whole thousandths");
        assert_eq!(variance_permille(Micros::ZERO, Micros(5)), None, "nothing to compare with");
    }
}
