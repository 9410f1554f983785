//! The model catalogue: which models there are, what their inputs allow and what they cost on a
//! given day. Compiled in from one TOML file; a mistake in it fails the tests, not a start.

use crate::money::Micros;
use crate::prediction::Purpose;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// How a model's input is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Google Veo 3.1.
    Veo,
    /// MiniMax Hailuo 02.
    Hailuo,
    /// Meta MusicGen.
    Musicgen,
}

/// What a price is per.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A second of produced media.
    Second,
    /// A second of GPU time.
    GpuSecond,
    /// A picture.
    Image,
    /// A character of text that was read.
    Character,
}

impl Unit {
    /// The name in the database and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::GpuSecond => "gpu_second",
            Self::Image => "image",
            Self::Character => "character",
        }
    }
}

#[derive(Debug, Deserialize)]
struct File {
    model: Vec<Model>,
}

/// One model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// `owner/name`.
    pub slug: String,
    /// Version to call a community model by; official models have none.
    pub version: Option<String>,
    /// Other names callers may use.
    pub aliases: Vec<String>,
    /// What it makes.
    pub purpose: Purpose,
    /// How its input is spelled.
    pub family: Family,
    /// Who runs it.
    pub provider: String,
    /// What it is billed by.
    pub unit: Unit,
    /// Aspect ratios it can be asked for.
    pub aspects: Vec<String>,
    /// How many predictions may be bought for one clip before the scene fails.
    pub attempts: u16,
    /// After this many seconds the provider gives up on it by itself.
    pub cancel_after_s: u32,
    /// For GPU-timed models: GPU seconds for one second of media, as observed. What a run takes at most is `cancel_after_s`.
    pub gpu_seconds_per_second: Option<f64>,
    /// Allowed durations by resolution.
    #[serde(default)]
    pub durations: Vec<Durations>,
    /// Dated prices; the latest that began on or before the day holds.
    pub prices: Vec<Price>,
}

/// Durations a model can produce at a resolution.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Durations {
    /// Such as `1080p`.
    pub resolution: String,
    /// Seconds, ascending.
    pub seconds: Vec<u32>,
}

/// A list price.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// First day it holds.
    pub from: NaiveDate,
    /// Only at this resolution, when set.
    pub resolution: Option<String>,
    /// Only with or without native audio, when set.
    pub audio: Option<bool>,
    /// Price per unit.
    pub micros: Micros,
}

static MODELS: LazyLock<Vec<Model>> =
    LazyLock::new(|| match toml::from_str::<File>(include_str!("catalog.toml")) {
        Ok(file) => file.model,
        Err(error) => unreachable!("catalog.toml is compiled in and tested: {error}"),
    });

/// Why a model cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No such model.
    #[error("unknown model {name:?}; known are {known}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The resolution is not one of the model's.
    #[error("{model} cannot render at {resolution}; it can at {allowed}")]
    Resolution {
        /// The model.
        model: String,
        /// What was asked for.
        resolution: String,
        /// What it can.
        allowed: String,
    },
    /// The aspect ratio is not one of the model's.
    #[error("{model} cannot render {aspect}; it can {allowed}")]
    Aspect {
        /// The model.
        model: String,
        /// What was asked for.
        aspect: String,
        /// What it can.
        allowed: String,
    },
    /// Longer than anything the model can produce.
    #[error("{model} renders at most {longest} s at {resolution}, asked for {asked_ms} ms")]
    TooLong {
        /// The model.
        model: String,
        /// At this resolution.
        resolution: String,
        /// Its longest, in seconds.
        longest: u32,
        /// What was asked for, in milliseconds.
        asked_ms: u32,
    },
    /// The price table has no row for this day.
    #[error("no price for {model} on {day}")]
    NoPrice {
        /// The model.
        model: String,
        /// The day.
        day: NaiveDate,
    },
}

/// Whether any model of ours is run by it.
pub fn is_provider(name: &str) -> bool {
    MODELS.iter().any(|model| model.provider == name)
}

/// All models.
pub fn all() -> impl Iterator<Item = &'static Model> {
    MODELS.iter()
}

/// All models that make `purpose`.
pub fn models(purpose: Purpose) -> impl Iterator<Item = &'static Model> {
    MODELS.iter().filter(move |model| model.purpose == purpose)
}

/// The model called `name`, by slug or alias.
pub fn find(name: &str, purpose: Purpose) -> Result<&'static Model, CatalogError> {
    models(purpose)
        .find(|model| model.slug == name || model.aliases.iter().any(|alias| alias == name))
        .ok_or_else(|| CatalogError::UnknownModel {
            name: name.to_owned(),
            known: models(purpose).map(|model| model.slug.as_str()).collect::<Vec<_>>().join(", "),
        })
}

impl Model {
    /// The shortest allowed duration, in seconds, that covers `asked_ms` at `resolution`.
    pub fn snap_duration(&self, resolution: &str, asked_ms: u32) -> Result<u32, CatalogError> {
        let allowed = self.durations.iter().find(|row| row.resolution == resolution).ok_or_else(|| {
            CatalogError::Resolution {
                model: self.slug.clone(),
                resolution: resolution.to_owned(),
                allowed: self
                    .durations
                    .iter()
                    .map(|row| row.resolution.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            }
        })?;
        allowed.seconds.iter().copied().find(|seconds| seconds * 1000 >= asked_ms).ok_or_else(|| {
            CatalogError::TooLong {
                model: self.slug.clone(),
                resolution: resolution.to_owned(),
                longest: allowed.seconds.last().copied().unwrap_or(0),
                asked_ms,
            }
        })
    }

    /// Whether the model can be asked for this aspect ratio.
    pub fn check_aspect(&self, aspect: &str) -> Result<(), CatalogError> {
        if self.aspects.iter().any(|allowed| allowed == aspect) {
            return Ok(());
        }
        Err(CatalogError::Aspect {
            model: self.slug.clone(),
            aspect: aspect.to_owned(),
            allowed: self.aspects.join(", "),
        })
    }

    /// The list price per unit that holds on `day`.
    pub fn unit_price(&self, day: NaiveDate, resolution: &str, audio: bool) -> Result<Micros, CatalogError> {
        self.prices
            .iter()
            .filter(|price| price.from <= day)
            .filter(|price| price.resolution.as_deref().is_none_or(|only| only == resolution))
            .filter(|price| price.audio.is_none_or(|only| only == audio))
            .max_by_key(|price| price.from)
            .map(|price| price.micros)
            .ok_or_else(|| CatalogError::NoPrice { model: self.slug.clone(), day })
    }

    /// What the model can be asked for and has no price on `day`, in words.
    pub fn unpriced(&self, day: NaiveDate) -> Vec<String> {
        let asked = |resolution: &str, audio| self.unit_price(day, resolution, audio).is_err();
        if self.durations.is_empty() {
            return if asked("", false) { vec!["anything".to_owned()] } else { Vec::new() };
        }
        let mut unpriced = Vec::new();
        for Durations { resolution, .. } in &self.durations {
            for (audio, words) in [(false, ""), (true, " with sound")] {
                if asked(resolution, audio) {
                    unpriced.push(format!("{resolution}{words}"));
                }
            }
        }
        unpriced
    }

    /// Thousandths of a billed unit that an order takes, as far as one can tell beforehand. `thousandths` is the order: the
    /// milliseconds of media to produce, or a thousand for each image or character.
    pub fn expected_milli_units(&self, thousandths: i64) -> i64 {
        match (self.unit, self.gpu_seconds_per_second) {
            (Unit::GpuSecond, Some(factor)) => (thousandths as f64 * factor).round() as i64,
            _ => thousandths,
        }
    }

    /// Thousandths of a billed unit that an order can take at most: what was ordered, or all the time that the provider gives a
    /// run, for it stops each after `cancel_after_s`.
    pub fn most_milli_units(&self, thousandths: i64) -> i64 {
        let expected = self.expected_milli_units(thousandths);
        match self.unit {
            Unit::GpuSecond => expected.max(i64::from(self.cancel_after_s) * 1000),
            Unit::Second | Unit::Image | Unit::Character => expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 21).unwrap()
    }

    #[test]
    fn every_model_has_a_price_for_everything_it_can_do() {
        for model in MODELS.iter() {
            let timed = model.unit == Unit::GpuSecond;
            assert_eq!(
                timed,
                model.gpu_seconds_per_second.is_some(),
                "{}: only GPU time needs a factor",
                model.slug
            );
            for row in &model.durations {
                assert!(row.seconds.is_sorted() && !row.seconds.is_empty(), "{}", model.slug);
                for audio in [false, true] {
                    model.unit_price(day(), &row.resolution, audio).unwrap();
                }
            }
        }
        find("musicgen", Purpose::Music).unwrap().unit_price(day(), "", false).unwrap();
    }

    #[test]
    fn names_and_aliases_are_unique() {
        let mut names: Vec<&str> = MODELS
            .iter()
            .flat_map(|m| m.aliases.iter().chain(std::iter::once(&m.slug)))
            .map(String::as_str)
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn durations_snap_up() {
        let veo = find("veo3", Purpose::Render).unwrap();
        for (asked, got) in [(1, 4), (4_000, 4), (4_001, 6), (5_000, 6), (8_000, 8)] {
            assert_eq!(veo.snap_duration("1080p", asked), Ok(got));
        }
        assert!(matches!(veo.snap_duration("1080p", 8_001), Err(CatalogError::TooLong { longest: 8, .. })));
        let hailuo = find("hailuo-02", Purpose::Render).unwrap();
        assert_eq!(hailuo.snap_duration("768p", 7_000), Ok(10));
        assert!(hailuo.snap_duration("1080p", 7_000).is_err(), "10 s only at 768p and below");
        assert!(matches!(hailuo.snap_duration("720p", 1), Err(CatalogError::Resolution { .. })));
    }

    #[test]
    fn prices_have_dates() {
        let veo = find("google/veo-3.1-fast", Purpose::Render).unwrap();
        assert_eq!(veo.unit_price(day(), "1080p", false), Ok(Micros(100_000)));
        assert_eq!(veo.unit_price(day(), "1080p", true), Ok(Micros(150_000)));
        let early = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap();
        assert!(matches!(veo.unit_price(early, "1080p", false), Err(CatalogError::NoPrice { .. })));
    }

    #[test]
    fn gaps_in_the_price_table_are_named() {
        for model in all() {
            assert_eq!(model.unpriced(day()), Vec::<String>::new(), "{}", model.slug);
        }
        let text = r#"
            slug = "a/b"
            aliases = []
            purpose = "render"
            family = "veo"
            provider = "replicate"
            unit = "second"
            aspects = []
            attempts = 1
            cancel_after_s = 60
            durations = [{ resolution = "720p", seconds = [4] }, { resolution = "1080p", seconds = [4] }]
            prices = [{ from = "2026-11-01", audio = false, micros = 1 }, { from = "2026-12-01", resolution = "1080p", audio = true, micros = 2 }]
        "#;
        let mut model: Model = toml::from_str(text).unwrap();
        assert_eq!(model.unpriced(day()), ["720p with sound", "1080p with sound"]);
        assert_eq!(model.unpriced(day() + chrono::TimeDelta::days(30)), ["720p with sound"]);
        assert_eq!(model.unpriced(NaiveDate::MIN).len(), 4);
        model.durations.clear();
        model.prices.clear();
        assert_eq!(model.unpriced(day()), ["anything"]);
    }

    #[test]
    fn unknown_models_name_the_known() {
        let error = find("skyreels", Purpose::Render).unwrap_err().to_string();
        assert!(error.contains("google/veo-3.1-fast"), "{error}");
        assert!(find("musicgen", Purpose::Render).is_err(), "a music model renders no clips");
    }
}
