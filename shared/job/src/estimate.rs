//! What a job will cost, with its arithmetic: every line is quantity times list price, and beside it what such lines have cost.

use crate::catalog::{self, CatalogError, Model};
use crate::money::Micros;
use crate::prediction::Purpose;
use crate::quote::at_permille;
use crate::spec::JobSpec;
use crate::storyboard::Storyboard;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// One line of the sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Such as "4 clips of 4 s, google/veo-3.1-fast 1080p".
    pub item: String,
    /// How many units are billed.
    pub quantity: f64,
    /// What the unit is.
    pub unit: String,
    /// List price of a unit.
    pub unit_micros: Micros,
    /// `quantity` times `unit_micros`.
    pub micros: Micros,
    /// Who makes it; empty in estimates from before this was kept.
    #[serde(default)]
    pub model: String,
    /// What 95 of 100 such lines cost at most, if there were enough of them to tell.
    #[serde(default)]
    pub learned_p95_micros: Option<Micros>,
}

/// The whole sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Sum of the lines.
    pub total_micros: Micros,
    /// The arithmetic.
    pub lines: Vec<Line>,
    /// The sum with what was learned in the place of the list price where something was; none where nothing was.
    #[serde(default)]
    pub learned_p95_micros: Option<Micros>,
}

impl Estimate {
    /// What will be held for all of it: of each line the list price or what was learned, whichever is more.
    pub fn held(&self) -> Micros {
        self.lines.iter().map(|line| line.micros.max(line.learned_p95_micros.unwrap_or(line.micros))).sum()
    }

    /// Adds what is known from experience: `learned` gives, for a model and its unit, what 95 of 100 purchases cost at most, in
    /// thousandths of their list price.
    #[must_use]
    pub fn with_learned(mut self, learned: impl Fn(&str, &str) -> Option<i32>) -> Self {
        for line in &mut self.lines {
            line.learned_p95_micros =
                learned(&line.model, &line.unit).map(|permille| at_permille(line.micros, permille));
        }
        if self.lines.iter().any(|line| line.learned_p95_micros.is_some()) {
            let sum = self.lines.iter().map(|line| line.learned_p95_micros.unwrap_or(line.micros)).sum();
            self.learned_p95_micros = Some(sum);
        }
        self
    }
}

/// Whole seconds of music that cover `scene_ms`.
pub fn music_seconds(scene_ms: u32) -> u32 {
    scene_ms.div_ceil(1000).max(1)
}

/// The estimate for `storyboard` made as `spec` says at the prices of `day`.
pub fn job(spec: &JobSpec, storyboard: &Storyboard, day: NaiveDate) -> Result<Estimate, CatalogError> {
    let scenes: Vec<u32> = storyboard.scenes.iter().map(|scene| scene.duration_ms).collect();
    parts(spec, &scenes, if spec.music { &scenes } else { &[] }, day)
}

/// The estimate for some clips and stretches of music of a job, each given by the milliseconds of its scene.
pub fn parts(spec: &JobSpec, clips: &[u32], music: &[u32], day: NaiveDate) -> Result<Estimate, CatalogError> {
    let model = spec.model()?;
    let mut lines: Vec<Line> = Vec::new();
    for clip_ms in clips {
        let price = model.unit_price(day, &spec.resolution, spec.audio)?;
        let seconds = model.snap_duration(&spec.resolution, *clip_ms)?;
        let item = format!("clips of {seconds} s, {} {}", model.slug, spec.resolution);
        add(&mut lines, item, model, price, i64::from(seconds) * 1000);
    }
    for scene_ms in music {
        let musician = catalog::find("meta/musicgen", Purpose::Music)?;
        let price = musician.unit_price(day, "", false)?;
        let item = format!("stretches of music, {}", musician.slug);
        add(&mut lines, item, musician, price, i64::from(music_seconds(*scene_ms)) * 1000);
    }
    let total_micros = lines.iter().map(|line| line.micros).sum();
    Ok(Estimate { total_micros, lines, learned_p95_micros: None })
}

fn add(lines: &mut Vec<Line>, item: String, model: &Model, unit_micros: Micros, media_ms: i64) {
    let milli_units = model.expected_milli_units(media_ms);
    let quantity = milli_units as f64 / 1000.0;
    let micros = Micros::for_milli_units(unit_micros, milli_units);
    if let Some(line) = lines.iter_mut().find(|line| line.item == item) {
        line.quantity += quantity;
        line.micros = line.micros + micros;
        return;
    }
    let unit = model.unit.as_str().to_owned();
    let model = model.slug.clone();
    lines.push(Line { item, quantity, unit, unit_micros, micros, model, learned_p95_micros: None });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{OnMusicFailure, OnSceneFailure};
    use crate::storyboard::PlannedScene;
    use uuid::Uuid;

    fn board(durations: &[u32]) -> Storyboard {
        let scene = |ms: &u32| PlannedScene {
            title: "t".into(),
            description: String::new(),
            scene_type: None,
            prompt: "p".into(),
            music_prompt: "m".into(),
            duration_ms: *ms,
            first_asset_id: Uuid::nil(),
            last_asset_id: None,
        };
        Storyboard { scenes: durations.iter().map(scene).collect() }
    }

    #[test]
    fn bills_what_is_produced_not_what_is_asked() {
        let spec = JobSpec {
            model: "google/veo-3.1-fast".into(),
            resolution: "1080p".into(),
            aspect: "16:9".into(),
            audio: false,
            music: true,
            music_fade_ms: crate::spec::USUAL_FADE_MS,
            reuse: true,
            on_scene_failure: OnSceneFailure::Fail,
            on_music_failure: OnMusicFailure::Halt,
        };
        let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let sum = job(&spec, &board(&[4000, 4000, 5000]), day).unwrap();
        let shown: Vec<(f64, i64)> = sum.lines.iter().map(|l| (l.quantity, l.micros.0)).collect();
        // 2 x 4 s, 1 x 6 s (5 s snaps up), and 4 + 4 + 5 s of music at 8.25 GPU seconds each.
        assert_eq!(shown, [(8.0, 800_000), (6.0, 600_000), (107.25, 150_150)]);
        assert_eq!(sum.total_micros, Micros(1_550_150));

        let part = parts(&spec, &[5000], &[], day).unwrap();
        assert_eq!((part.total_micros, part.lines.len()), (Micros(600_000), 1));
        assert_eq!(parts(&spec, &[], &[], day).unwrap().total_micros, Micros::ZERO);
    }

    #[test]
    fn experience_stands_beside_the_list_price() {
        let spec = JobSpec {
            model: "google/veo-3.1-fast".into(),
            resolution: "1080p".into(),
            aspect: "16:9".into(),
            audio: false,
            music: true,
            music_fade_ms: crate::spec::USUAL_FADE_MS,
            reuse: true,
            on_scene_failure: OnSceneFailure::Fail,
            on_music_failure: OnMusicFailure::Halt,
        };
        let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let sum = job(&spec, &board(&[4000]), day).unwrap();
        assert_eq!(sum.clone().with_learned(|_, _| None), sum);
        let learned = sum.with_learned(|model, unit| {
            (model == "meta/musicgen").then(|| if unit == "gpu_second" { 1500 } else { 0 })
        });
        assert_eq!(learned.total_micros, Micros(446_200), "the estimate stays at list prices");
        let lines: Vec<Option<Micros>> = learned.lines.iter().map(|line| line.learned_p95_micros).collect();
        assert_eq!(lines, [None, Some(Micros(69_300))]);
        assert_eq!(learned.learned_p95_micros, Some(Micros(469_300)));
        assert_eq!(learned.held(), Micros(469_300));
        assert_eq!(learned.with_learned(|_, _| Some(1)).held(), Micros(446_200));
    }
}
