//! What a job will cost, with its arithmetic: every line is quantity times list price.

use crate::catalog::{self, CatalogError};
use crate::money::Micros;
use crate::prediction::Purpose;
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
}

/// The whole sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Sum of the lines.
    pub total_micros: Micros,
    /// The arithmetic.
    pub lines: Vec<Line>,
}

/// Price of one prediction of `model` that will produce `media_ms` of media.
pub fn prediction(
    model: &catalog::Model,
    day: NaiveDate,
    resolution: &str,
    audio: bool,
    media_ms: i64,
) -> Result<Micros, CatalogError> {
    let price = model.unit_price(day, resolution, audio)?;
    Ok(Micros::for_milli_units(price, model.expected_milli_units(media_ms)))
}

/// Whole seconds of music that cover `scene_ms`.
pub fn music_seconds(scene_ms: u32) -> u32 {
    scene_ms.div_ceil(1000).max(1)
}

/// The estimate for `storyboard` made as `spec` says at the prices of `day`.
pub fn job(spec: &JobSpec, storyboard: &Storyboard, day: NaiveDate) -> Result<Estimate, CatalogError> {
    let model = spec.model()?;
    let price = model.unit_price(day, &spec.resolution, spec.audio)?;
    let mut lines: Vec<Line> = Vec::new();
    for scene in &storyboard.scenes {
        let seconds = model.snap_duration(&spec.resolution, scene.duration_ms)?;
        let micros = Micros::for_milli_units(price, i64::from(seconds) * 1000);
        add(
            &mut lines,
            format!("clips of {seconds} s, {} {}", model.slug, spec.resolution),
            f64::from(seconds),
            "second",
            price,
            micros,
        );
    }
    if spec.music {
        let musician = catalog::find("meta/musicgen", Purpose::Music)?;
        let price = musician.unit_price(day, "", false)?;
        for scene in &storyboard.scenes {
            let milli = musician.expected_milli_units(i64::from(music_seconds(scene.duration_ms)) * 1000);
            let micros = Micros::for_milli_units(price, milli);
            add(
                &mut lines,
                format!("stretches of music, {}", musician.slug),
                milli as f64 / 1000.0,
                musician.unit.as_str(),
                price,
                micros,
            );
        }
    }
    Ok(Estimate { total_micros: lines.iter().map(|line| line.micros).sum(), lines })
}

fn add(lines: &mut Vec<Line>, item: String, quantity: f64, unit: &str, unit_micros: Micros, micros: Micros) {
    if let Some(line) = lines.iter_mut().find(|line| line.item == item) {
        line.quantity += quantity;
        line.micros = line.micros + micros;
    } else {
        lines.push(Line { item, quantity, unit: unit.to_owned(), unit_micros, micros });
    }
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
    }
}
