//! Gates in words: each a clause that fits behind "Render of scene 2" as well as at the beginning of a sentence.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use spool_job::money::Micros;

use crate::gate::{Gate, Parent};

/// Parents that are named; of more only the number is told.
const NAMED: usize = 3;

/// A moment as people read it: the day only where it is not clear.
pub(crate) fn moment(now: DateTime<Utc>, at: DateTime<Utc>) -> String {
    let time = if at.second() == 0 { "%H:%M UTC" } else { "%H:%M:%S UTC" };
    let is_near = at.date_naive() == now.date_naive()
        || (at > now && at - now <= TimeDelta::try_hours(24).unwrap_or_default());
    if is_near { at.format(time).to_string() } else { at.format(&format!("%Y-%m-%d {time}")).to_string() }
}

/// With a capital letter.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Such as "render of scene 2".
pub(crate) fn label(kind: &str, scene: Option<i32>) -> String {
    match (kind, scene) {
        ("render", Some(scene)) => format!("render of scene {scene}"),
        ("music", Some(scene)) => format!("music under scene {scene}"),
        (kind, Some(scene)) => format!("{kind} for scene {scene}"),
        (kind, None) => kind.to_owned(),
    }
}

fn parent(parent: &Parent) -> String {
    format!("{} ({})", label(&parent.kind, parent.scene), parent.state)
}

fn parents(all: &[Parent]) -> String {
    let named: Vec<String> = all.iter().take(NAMED).map(parent).collect();
    match all.len() {
        0 => "waits for other tasks".to_owned(),
        1 => format!("waits for {}", named.concat()),
        count if count <= NAMED => format!("waits for {count} tasks: {}", named.join(", ")),
        count => format!("waits for {count} tasks: {} and {} more", named.join(", "), count - NAMED),
    }
}

fn prediction(now: DateTime<Utc>, model: &str, state: &str, since: DateTime<Utc>) -> String {
    match state {
        "submitted" => format!("is with the provider: {model} works on it since {}", moment(now, since)),
        "intent" => format!("is being bought from {model}"),
        "in_doubt" => format!(
            "waits for an operator: nobody can tell any more whether {model} was called at {}",
            moment(now, since)
        ),
        _ => format!(
            "looks for a call of {model} whose answer was lost at {}: nothing is bought again before that is clear",
            moment(now, since)
        ),
    }
}

impl Gate {
    /// The gate as a clause without a subject: "waits for money: …".
    pub(crate) fn clause(&self, now: DateTime<Utc>) -> String {
        match self {
            Self::Approval { estimate_micros } => format!(
                "waits for approval: nothing is spent before; it is thought to cost {}",
                Micros(*estimate_micros)
            ),
            Self::Planning => "waits for its storyboard, which a language model writes".to_owned(),
            Self::Parents { tasks } => parents(tasks),
            Self::RunAt { at, error: None } => format!("waits for its time: {}", moment(now, *at)),
            Self::RunAt { at, error: Some(error) } => {
                format!("rests until {} after a failed attempt: {error}", moment(now, *at))
            }
            Self::Parked { why, until } => {
                format!("waits outside: {why}; looks again at {} at the latest", moment(now, *until))
            }
            Self::Prediction { model, state, since, .. } => prediction(now, model, state, *since),
            Self::QueuePaused { queue, why, since } => format!(
                "waits for queue {queue} to be resumed: it is paused since {}: {why}",
                moment(now, *since)
            ),
            Self::NoWorker { queue } => {
                format!("waits for a worker: none that serves queue {queue} is alive")
            }
            Self::Slots { queue, slots, running } => {
                format!("waits for a free slot of queue {queue}: {running} of {slots} are taken")
            }
            Self::QueueLimit { queue, limit, running } => {
                format!("waits for room in queue {queue}: it may run {limit} at once and runs {running}")
            }
            Self::ShareLimit { queue, limit, running, .. } => {
                format!(
                    "waits for room in queue {queue}: its client may have {limit} running at once and has {running}"
                )
            }
            Self::QueueRate { queue, tasks, per_ms, opens_at } => format!(
                "waits for the rate of queue {queue}, {tasks} starts in {} s: goes on at {}",
                *per_ms as f64 / 1000.0,
                moment(now, *opens_at)
            ),
            Self::Budget { .. } => self.budget(now),
            Self::EmergencyStop { why, since } => format!(
                "waits for money: all spending is stopped since {}: {why}; goes on when the stop is lifted",
                moment(now, *since)
            ),
            Self::Provider { model, why, until, .. } => {
                let until =
                    until.map_or_else(String::new, |until| format!("; goes on at {}", moment(now, until)));
                format!("waits for {model}: {why}{until}")
            }
            Self::Deadline { at } => format!("fails: it was not done by its deadline, {}", moment(now, *at)),
            Self::LostWorker { queue } => {
                format!(
                    "waits to be taken over: its worker is gone, another that serves queue {queue} does it again"
                )
            }
            Self::Stopping { why } => format!("was asked to stop: {why}"),
        }
    }

    fn budget(&self, now: DateTime<Utc>) -> String {
        let Self::Budget { scope, scope_id, period, hard_micros, wanted_micros, missing_micros, turns_at } =
            self
        else {
            return String::new();
        };
        let adjective = match *period {
            "day" => "daily",
            "month" => "monthly",
            other => other,
        };
        let whose = if scope_id.is_empty() { String::new() } else { format!(" of {scope} {scope_id}") };
        let turn =
            turns_at.map_or_else(String::new, |at| format!("the {period} turns at {} or ", moment(now, at)));
        format!(
            "waits for money: {} would pass the {adjective} limit{whose} of {} by {}; goes on when {turn}the limit is raised",
            Micros(*wanted_micros),
            Micros(*hard_micros),
            Micros(*missing_micros)
        )
    }
}
