//! What to buy: the slot it fills, the model, and an input that can be written with links or digests.

use serde_json::Value;
use spool_db::predictions::Slot;
use spool_job::canonical;
use spool_job::catalog::Model;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Writes the input, given what stands for each of its media.
type Input = Box<dyn Fn(&dyn Fn(&str) -> String) -> Value + Send + Sync>;

/// An order for one output.
pub(crate) struct Order {
    /// What it fills.
    pub(crate) slot: Slot,
    /// Which model.
    pub(crate) model: &'static Model,
    /// Resolution the price depends on; empty where it does not.
    pub(crate) resolution: String,
    /// Native audio.
    pub(crate) audio: bool,
    /// How much media it will produce.
    pub(crate) media_ms: i64,
    /// Input media by name: the digest of what each serves.
    pub(crate) media: BTreeMap<String, String>,
    /// Whether an output that was bought before by the same order will do.
    pub(crate) reuse: bool,
    /// Makes the input from what stands for each medium.
    pub(crate) input: Input,
}

impl Order {
    /// The input as it goes out, with `link(name)` in the place of each medium.
    ///
    /// An input without media carries a seed made from our prediction id, so that a list scan can
    /// tell it from another one with the same words.
    pub(crate) fn input(&self, prediction: Uuid, link: &dyn Fn(&str) -> String) -> Value {
        let mut input = (self.input)(link);
        if self.media.is_empty() {
            input["seed"] = Value::from(seed_of(prediction));
        }
        input
    }

    /// The digest of the input: the same whichever links served it.
    pub(crate) fn digest(&self, prediction: Uuid) -> String {
        canonical::digest(&self.input(prediction, &|name| self.media.get(name).cloned().unwrap_or_default()))
    }
}

/// 31 random bits of the id: models take a signed 32-bit seed.
pub(crate) fn seed_of(prediction: Uuid) -> u32 {
    (prediction.as_u128() & 0x7fff_ffff) as u32
}
