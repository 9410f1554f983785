//! How the making of a video looks: a bar per scene on a terminal, a line per change elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::api::{Job, Scene};

/// Steps of a scene's bar: waiting, being rendered, there.
const SCENE_STEPS: u64 = 2;
const REDRAW: Duration = Duration::from_millis(120);

/// Shows a job until it is final.
pub(crate) enum Progress {
    Bars { all: MultiProgress, whole: ProgressBar, scenes: Vec<ProgressBar> },
    Lines { last: Vec<String>, last_whole: String },
}

impl Progress {
    pub(crate) fn new() -> Self {
        if std::io::stdout().is_terminal() {
            let all = MultiProgress::new();
            let whole = all.add(ProgressBar::new(100));
            whole.set_style(style("  {prefix:<9} [{bar:24}] {percent:>3} %  {msg}"));
            whole.set_prefix("video");
            Self::Bars { all, whole, scenes: Vec::new() }
        } else {
            Self::Lines { last: Vec::new(), last_whole: String::new() }
        }
    }

    /// Shows what the API says now.
    pub(crate) fn show(&mut self, job: &Job, scenes: &[Scene]) {
        let stage = stage(job);
        match self {
            Self::Bars { all, whole, scenes: bars } => {
                for number in bars.len() + 1..=scenes.len() {
                    let bar = all.insert_before(whole, ProgressBar::new(SCENE_STEPS));
                    bar.set_style(style("  {prefix:<9} [{bar:24}] {spinner} {msg}"));
                    bar.set_prefix(format!("scene {number}"));
                    bar.enable_steady_tick(REDRAW);
                    bars.push(bar);
                }
                for (bar, scene) in bars.iter().zip(scenes) {
                    bar.set_position(steps(&scene.status));
                    bar.set_message(described(scene));
                    if is_final(&scene.status) {
                        bar.abandon();
                    }
                }
                whole.set_position(job.progress_percentage);
                whole.set_message(stage);
            }
            Self::Lines { last, last_whole } => {
                last.resize(scenes.len(), String::new());
                for (number, (last, scene)) in last.iter_mut().zip(scenes).enumerate() {
                    if *last != scene.status {
                        last.clone_from(&scene.status);
                        println!("  scene {}: {}", number + 1, described(scene));
                    }
                }
                let whole = format!("{} %, {stage}", job.progress_percentage);
                if *last_whole != whole {
                    println!("  video: {whole}");
                    *last_whole = whole;
                }
            }
        }
    }

    /// Leaves the last picture on the screen.
    pub(crate) fn finish(&self) {
        if let Self::Bars { whole, scenes, .. } = self {
            for bar in scenes {
                bar.abandon();
            }
            whole.abandon();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).expect("invariant: the templates of this file are right");
    style.progress_chars("#> ")
}

fn steps(status: &str) -> u64 {
    match status {
        "pending" => 0,
        "completed" => SCENE_STEPS,
        _ => 1,
    }
}

fn is_final(status: &str) -> bool {
    matches!(status, "completed" | "failed")
}

fn described(scene: &Scene) -> String {
    if scene.title.is_empty() { scene.status.clone() } else { format!("{}, {}", scene.status, scene.title) }
}

fn stage(job: &Job) -> String {
    let stage = job.current_stage.as_deref().unwrap_or(&job.status);
    match &job.parked {
        Some(why) => format!("{stage}, waits ({why})"),
        None => stage.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_only_moves_forward_through_its_steps() {
        let order = ["pending", "processing", "completed"].map(steps);
        assert!(order.is_sorted());
        assert_eq!(order[2], SCENE_STEPS);
    }

    #[test]
    fn the_bars_can_be_drawn() {
        style("  {prefix:<9} [{bar:24}] {percent:>3} %  {msg}");
        style("  {prefix:<9} [{bar:24}] {spinner} {msg}");
    }

    #[test]
    fn a_parked_job_says_why() {
        let job: Job = serde_json::from_value(serde_json::json!({
            "status": "processing", "video_name": "v", "progress_percentage": 10,
            "current_stage": "rendering", "parked": "budget",
        }))
        .unwrap();
        assert_eq!(stage(&job), "rendering, waits (budget)");
    }
}
