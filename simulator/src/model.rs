//! The models that can be called, from the descriptions in `models/`.

use crate::error::SimulatorError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which rules, prices and media a model follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Family {
    Veo,
    Hailuo,
    Musicgen,
    Flux,
    Speech,
}

/// A model as its description file gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// `owner/name`.
    pub(crate) slug: String,
    pub(crate) family: Family,
    /// Official models are called by name and hide their version.
    pub(crate) official: bool,
    /// 64 hex digits of a community model.
    #[serde(default)]
    pub(crate) version: Option<String>,
    pub(crate) description: String,
    /// From creation to the start of the model, at real speed.
    pub(crate) start_ms: u64,
    /// How long the model runs, at real speed (musicgen: see `run_ms_for`).
    pub(crate) run_ms: u64,
    pub(crate) required: Vec<String>,
    /// JSON Schema of each input.
    pub(crate) properties: Map<String, Value>,
    /// JSON Schema of the output.
    pub(crate) output: Value,
}

impl Model {
    /// The version that predictions show.
    pub(crate) fn shown_version(&self) -> &str {
        self.version.as_deref().unwrap_or("hidden")
    }

    /// A version id also for official models, for `latest_version`.
    pub(crate) fn version_id(&self) -> String {
        self.version.clone().unwrap_or_else(|| crate::canonical::digest(&Value::from(self.slug.as_str())))
    }

    /// The input with every default filled in.
    pub(crate) fn with_defaults(&self, input: &Map<String, Value>) -> Map<String, Value> {
        let mut full = input.clone();
        full.retain(|_, value| !value.is_null());
        for (name, property) in &self.properties {
            if let Some(default) = property.get("default") {
                full.entry(name.clone()).or_insert_with(|| default.clone());
            }
        }
        full
    }

    /// Milliseconds the model runs for this input (defaults filled in), at real speed.
    pub(crate) fn run_ms_for(&self, input: &Map<String, Value>) -> u64 {
        match self.family {
            // 66 s were seen for 8 s of music.
            Family::Musicgen => 8250 * whole(input, "duration"),
            _ => self.run_ms,
        }
    }

    /// Names of the inputs that are URLs or lists of URLs.
    pub(crate) fn is_media(&self, field: &str) -> bool {
        self.properties.get(field).is_some_and(|property| {
            let format = |schema: &Value| schema.get("format").and_then(Value::as_str) == Some("uri");
            format(property) || property.get("items").is_some_and(format)
        })
    }
}

/// A non-negative whole number of an input, 0 when absent.
pub(crate) fn whole(input: &Map<String, Value>, field: &str) -> u64 {
    input
        .get(field)
        .and_then(|value| value.as_u64().or_else(|| value.as_f64().map(|number| number as u64)))
        .unwrap_or(0)
}

/// A text of an input, empty when absent.
pub(crate) fn words<'a>(input: &'a Map<String, Value>, field: &str) -> &'a str {
    input.get(field).and_then(Value::as_str).unwrap_or("")
}

/// A switch of an input, off when absent.
pub(crate) fn switch(input: &Map<String, Value>, field: &str) -> bool {
    input.get(field).and_then(Value::as_bool).unwrap_or(false)
}

/// Every model.
pub(crate) struct Models(Vec<Model>);

impl Models {
    /// Reads the built-in descriptions.
    pub(crate) fn load() -> Result<Self, SimulatorError> {
        const FILES: &[(&str, &str)] = &[
            ("veo-3.1-fast", include_str!("../models/veo-3.1-fast.json")),
            ("veo-3.1", include_str!("../models/veo-3.1.json")),
            ("hailuo-02", include_str!("../models/hailuo-02.json")),
            ("musicgen", include_str!("../models/musicgen.json")),
            ("flux-schnell", include_str!("../models/flux-schnell.json")),
            ("speech-02-hd", include_str!("../models/speech-02-hd.json")),
        ];
        let read = |(name, text): &(&'static str, &str)| {
            serde_json::from_str(text).map_err(|source| SimulatorError::Model { name, source })
        };
        FILES.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn all(&self) -> &[Model] {
        &self.0
    }

    /// By `owner/name`.
    pub(crate) fn by_slug(&self, slug: &str) -> Option<&Model> {
        self.0.iter().find(|model| model.slug == slug)
    }

    /// As `POST /predictions` names one: 64 hex digits, `owner/name:64hex`, or `owner/name` if official.
    pub(crate) fn by_version(&self, version: &str) -> Option<&Model> {
        if let Some((slug, id)) = version.split_once(':') {
            return self.by_slug(slug).filter(|model| model.version_id() == id);
        }
        if version.contains('/') {
            return self.by_slug(version).filter(|model| model.official);
        }
        self.0.iter().find(|model| model.version_id() == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_name_models_as_the_service_reads_them() {
        let models = Models::load().unwrap();
        let musicgen = models.by_slug("meta/musicgen").unwrap();
        let id = musicgen.version.clone().unwrap();
        assert_eq!(models.by_version(&id).unwrap().slug, "meta/musicgen");
        assert_eq!(models.by_version(&format!("meta/musicgen:{id}")).unwrap().slug, "meta/musicgen");
        assert!(models.by_version("meta/musicgen").is_none());
        assert!(models.by_version("google/veo-3.1").is_some());
        assert!(models.by_version(&"0".repeat(64)).is_none());
        assert!(models.by_slug("google/veo-3.1").unwrap().is_media("reference_images"));
    }
}
