//! What a run produced, as the provider reports it in `metrics` and as the ledger counts it.

use crate::model::{Family, Model, switch, whole, words};
use serde_json::{Map, Number, Value, json};
use spool_provider::wire::Metrics;

/// The quantity a run is billed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity {
    /// Thousandths of a unit.
    pub(crate) milli: u64,
    /// `second`, `gpu_second`, `image`, `character`, `token`.
    pub(crate) unit: &'static str,
}

impl Quantity {
    /// The number as it stands in JSON: whole where it is whole.
    pub(crate) fn number(self) -> Number {
        if self.milli.is_multiple_of(1000) {
            return Number::from(self.milli / 1000);
        }
        Number::from_f64(self.milli as f64 / 1000.0).unwrap_or_else(|| Number::from(0))
    }
}

/// What a complete run of `model` with this input (defaults filled in) produces.
pub(crate) fn quantity(model: &Model, input: &Map<String, Value>) -> Quantity {
    let whole_units = |count: u64, unit| Quantity { milli: count * 1000, unit };
    match model.family {
        Family::Veo | Family::Hailuo => whole_units(whole(input, "duration"), "second"),
        Family::Musicgen => Quantity { milli: model.run_ms_for(input), unit: "gpu_second" },
        Family::Flux => whole_units(whole(input, "num_outputs"), "image"),
        Family::Speech => whole_units(words(input, "text").chars().count() as u64, "character"),
    }
}

/// The metrics of a run that went to its end.
pub(crate) fn metrics(model: &Model, input: &Map<String, Value>) -> Metrics {
    let run_ms = model.run_ms_for(input);
    let mut metrics = times(run_ms, model.start_ms + run_ms);
    match model.family {
        Family::Veo | Family::Hailuo => {
            metrics.video_output_count = Some(1);
            metrics.video_output_duration_seconds = Some(whole(input, "duration") as f64);
            metrics.resolution_target = Some(words(input, "resolution").to_owned());
            if model.family == Family::Veo {
                metrics.with_audio = Some(switch(input, "generate_audio"));
            }
        }
        // A community model reports nothing but its time.
        Family::Musicgen => {}
        Family::Flux => {
            let count = whole(input, "num_outputs");
            metrics.image_output_count = Some(count);
            metrics.other.insert("image_count".to_owned(), json!(count));
        }
        Family::Speech => {
            metrics.character_input_count = Some(words(input, "text").chars().count() as u64);
            metrics.audio_output_duration_seconds = Some(speech_seconds(input));
        }
    }
    metrics
}

/// The metrics of a run that ended early: only how long it took.
pub(crate) fn times(run_ms: u64, total_ms: u64) -> Metrics {
    let seconds = |ms: u64| Some(ms as f64 / 1000.0);
    Metrics { predict_time: seconds(run_ms), total_time: seconds(total_ms), ..Metrics::default() }
}

/// Seconds of speech: about fifteen characters a second.
pub(crate) fn speech_seconds(input: &Map<String, Value>) -> f64 {
    let speed = input.get("speed").and_then(Value::as_f64).unwrap_or(1.0).clamp(0.5, 2.0);
    let seconds = words(input, "text").chars().count() as f64 / 15.0 / speed;
    (seconds.max(0.4) * 10.0).round() / 10.0
}
