//! Progress of a job as a function of facts. It is kept as the greatest value seen within a
//! revision, so what it says never goes backwards.

use crate::state::JobState;

/// What has happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// All scenes.
    pub scenes: u32,
    /// Scenes whose clip was begun.
    pub started: u32,
    /// Scenes whose clip the provider has finished.
    pub rendered: u32,
    /// Scenes that are final: clip stored, or failed.
    pub settled: u32,
    /// Stretches of music wanted.
    pub music: u32,
    /// Stretches of music stored.
    pub music_done: u32,
    /// The clips are joined.
    pub stitched: bool,
    /// The soundtrack is under them.
    pub mixed: bool,
    /// The video was checked and stored.
    pub verified: bool,
}

/// Percent and stage to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 100; 100 only when completed.
    pub percent: u8,
    /// One word for what is going on.
    pub stage: &'static str,
}

/// Progress of a job in `state`.
pub fn progress(state: JobState, facts: Facts) -> Progress {
    match state {
        JobState::Planning => Progress { percent: 0, stage: "planning" },
        JobState::Pending => Progress { percent: 0, stage: "storyboard_ready" },
        JobState::Completed => Progress { percent: 100, stage: "completed" },
        JobState::Failed => Progress { percent: working(facts).percent, stage: "failed" },
        JobState::Canceled => Progress { percent: working(facts).percent, stage: "canceled" },
        JobState::Approved => Progress { percent: 1, stage: "approved" },
        JobState::Processing => working(facts),
    }
}

fn working(facts: Facts) -> Progress {
    let share = |part: u32, whole: u32, weight: f64| match whole {
        0 => weight,
        _ => f64::from(part.min(whole)) / f64::from(whole) * weight,
    };
    let clips = share(facts.started, facts.scenes, 14.0)
        + share(facts.rendered.max(facts.settled), facts.scenes, 36.0)
        + share(facts.settled, facts.scenes, 20.0);
    let steps = [(facts.stitched, 8.0), (facts.mixed, 6.0), (facts.verified, 4.0)];
    let percent = 1.0
        + clips
        + share(facts.music_done, facts.music, 10.0)
        + steps.iter().filter(|(done, _)| *done).map(|(_, weight)| weight).sum::<f64>();
    let stage = match facts {
        Facts { verified: true, .. } => "finishing",
        Facts { mixed: true, .. } => "verifying",
        Facts { stitched: true, music, music_done, .. } if music_done < music => "generating_audio",
        Facts { stitched: true, .. } => "mixing_audio",
        Facts { scenes, settled, .. } if settled >= scenes => "stitching_videos",
        Facts { started: 0, .. } => "starting_render",
        _ => "rendering",
    };
    Progress { percent: percent.floor().clamp(1.0, 99.0) as u8, stage }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts() -> impl Strategy<Value = Facts> {
        (1u32..12, 0u32..12, any::<[bool; 3]>()).prop_flat_map(|(scenes, music, [a, b, c])| {
            (0..=scenes, 0..=scenes, 0..=scenes, 0..=music).prop_map(move |(x, y, z, m)| {
                let mut steps = [x, y, z];
                steps.sort_unstable();
                Facts {
                    scenes,
                    started: steps[2],
                    rendered: steps[1],
                    settled: steps[0],
                    music,
                    music_done: m,
                    stitched: a,
                    mixed: a && b,
                    verified: a && b && c,
                }
            })
        })
    }

    proptest! {
        #[test]
        fn one_more_fact_never_lowers_it(before in facts(), which in 0u8..6) {
            let mut after = before;
            match which {
                0 => after.started = (after.started + 1).min(after.scenes),
                1 => after.rendered = (after.rendered + 1).min(after.started),
                2 => after.settled = (after.settled + 1).min(after.rendered),
                3 => after.music_done = (after.music_done + 1).min(after.music),
                4 => after.stitched = true,
                _ => after.mixed = after.stitched,
            }
            let now = progress(JobState::Processing, after);
            prop_assert!(now.percent >= progress(JobState::Processing, before).percent);
            prop_assert!(now.percent < 100);
        }
    }

    #[test]
    fn only_completed_is_a_hundred() {
        let all = Facts {
            scenes: 4,
            started: 4,
            rendered: 4,
            settled: 4,
            music: 4,
            music_done: 4,
            stitched: true,
            mixed: true,
            verified: true,
        };
        assert_eq!(progress(JobState::Processing, all), Progress { percent: 99, stage: "finishing" });
        assert_eq!(progress(JobState::Completed, all).percent, 100);
        assert_eq!(progress(JobState::Failed, Facts::default()).stage, "failed");
    }
}
