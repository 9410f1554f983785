//! What a run costs, in whole micro-dollars: the simulator's own price table, kept apart from the client's
//! so that a wrong price in one of them shows.

use crate::measure::Quantity;
use crate::model::{Family, Model, switch, words};
use serde_json::{Map, Value};

/// What is charged for a run that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charge {
    /// Nothing.
    None,
    /// As if it had succeeded.
    Full,
    /// The share of its time that it ran.
    Partial,
}

/// Micro-dollars for a unit of `model` with this input (defaults filled in).
pub(crate) fn per_unit(model: &Model, input: &Map<String, Value>) -> u64 {
    match (model.family, model.slug.as_str()) {
        (Family::Veo, "google/veo-3.1-fast") => {
            if switch(input, "generate_audio") {
                150_000
            } else {
                100_000
            }
        }
        (Family::Veo, _) => {
            if switch(input, "generate_audio") {
                400_000
            } else {
                200_000
            }
        }
        (Family::Hailuo, _) => match words(input, "resolution") {
            "512p" => 25_000,
            "768p" => 45_000,
            _ => 80_000,
        },
        (Family::Musicgen, _) => 1_400,
        (Family::Flux, _) => 3_000,
        (Family::Speech, _) => 100,
    }
}

/// Micro-dollars for a quantity, rounded half up.
pub(crate) fn cost(quantity: Quantity, per_unit: u64) -> u64 {
    (quantity.milli * per_unit + 500) / 1000
}

/// Micro-dollars for a language model's tokens ($1.25 and $2.50 a million), rounded half up.
pub(crate) fn tokens(read: u64, written: u64) -> u64 {
    (read * 125 + written * 250 + 50) / 100
}

/// What a failure is charged, by the code in its text; time-priced models pay for what ran.
pub(crate) fn of_failure(error: &str) -> Charge {
    const CHARGED: &[&str] = &["E9825", "E9828", "E005", "flagged as sensitive", "NSFW"];
    if CHARGED.iter().any(|mark| error.contains(mark)) { Charge::Full } else { Charge::None }
}

/// What a cancelled run that had started is charged: official models may bill it whole, others by time.
pub(crate) fn of_cancel(model: &Model) -> Charge {
    if model.official { Charge::Full } else { Charge::Partial }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::quantity;
    use crate::model::Models;
    use serde_json::json;

    fn cost_of(slug: &str, input: Value) -> u64 {
        let models = Models::load().unwrap();
        let model = models.by_slug(slug).unwrap();
        let input = model.with_defaults(input.as_object().unwrap());
        cost(quantity(model, &input), per_unit(model, &input))
    }

    #[test]
    fn list_prices() {
        let table = [
            ("google/veo-3.1-fast", json!({"duration": 4, "generate_audio": false}), 400_000),
            ("google/veo-3.1-fast", json!({"duration": 4}), 600_000),
            ("google/veo-3.1", json!({"duration": 8, "generate_audio": false}), 1_600_000),
            ("google/veo-3.1", json!({}), 3_200_000),
            ("minimax/hailuo-02", json!({}), 480_000),
            ("minimax/hailuo-02", json!({"duration": 10, "resolution": "768p"}), 450_000),
            ("minimax/hailuo-02", json!({"resolution": "512p"}), 150_000),
            ("meta/musicgen", json!({}), 92_400),
            ("meta/musicgen", json!({"duration": 1}), 11_550),
            ("black-forest-labs/flux-schnell", json!({"num_outputs": 4}), 12_000),
            ("minimax/speech-02-hd", json!({"text": "Grüezi"}), 600),
        ];
        for (slug, input, micros) in table {
            assert_eq!(cost_of(slug, input.clone()), micros, "{slug} {input}");
        }
    }

    #[test]
    fn halves_round_up() {
        assert_eq!(cost(Quantity { milli: 1, unit: "gpu_second" }, 500), 1);
        assert_eq!(cost(Quantity { milli: 1, unit: "gpu_second" }, 499), 0);
        assert_eq!(tokens(2, 0), 3);
    }

    #[test]
    fn failures_that_ran_are_charged() {
        assert_eq!(of_failure("Director: unexpected error handling prediction (E9828)"), Charge::Full);
        assert_eq!(of_failure("Director: unexpected error handling prediction (E6716)"), Charge::None);
        assert_eq!(of_failure("Prediction interrupted; please retry (code: PA)"), Charge::None);
    }
}
