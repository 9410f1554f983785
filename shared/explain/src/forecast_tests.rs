//! Forecasts of any graph of tasks in any states: early comes before late, children after parents, unknown says why.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::json;
use spool_db::explain::JobFacts;
use spool_db::learned::Learned;
use spool_job::money::Micros;
use spool_job::spec::{JobSpec, OnMusicFailure, OnSceneFailure};
use spool_job::state::JobState;
use spool_queue::inspect::{Outlook, QueueOutlook, TaskOutlook, TaskView};
use spool_queue::{TaskId, TaskState};
use std::collections::HashMap;

use crate::facts::Facts;
use crate::forecast::forecast;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_256_100, 0).unwrap()
}

#[derive(Debug, Clone)]
struct Sketch {
    state: TaskState,
    parents: Vec<i64>,
    /// Seconds from now.
    run_at: i64,
    ahead: Option<u64>,
}

/// Tasks wait only for earlier ones, and are blocked if they do.
fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    let states = vec![TaskState::Ready, TaskState::Scheduled, TaskState::Parked, TaskState::Running];
    let one = (
        proptest::sample::select(states),
        proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
        -100..100_i64,
        proptest::option::of(0..50_u64),
    );
    proptest::collection::vec(one, 1..12).prop_map(|all| {
        let sketch = |(id, (state, parents, run_at, ahead)): (
            usize,
            (TaskState, Vec<prop::sample::Index>, i64, _),
        )| {
            let parents: Vec<i64> = if id == 0 {
                Vec::new()
            } else {
                parents.iter().map(|parent| parent.index(id) as i64).collect()
            };
            let state = if parents.is_empty() { state } else { TaskState::Blocked };
            Sketch { state, parents, run_at, ahead }
        };
        all.into_iter().enumerate().map(sketch).collect()
    })
}

fn facts(sketches: &[Sketch], workers: u64, is_paused: bool) -> Facts {
    let at = now();
    let seconds = |seconds| at + TimeDelta::try_seconds(seconds).unwrap();
    let task = |(id, sketch): (usize, &Sketch)| TaskOutlook {
        view: TaskView {
            id: TaskId(id as i64),
            kind: "stitch".into(),
            queue: "ffmpeg".into(),
            state: sketch.state,
            attempt: 0,
            max_attempts: None,
            parks: 0,
            run_at: seconds(sketch.run_at),
            started_at: (sketch.state == TaskState::Running).then(|| seconds(-sketch.run_at.abs())),
            finished_at: None,
            why: None,
            error_class: None,
            last_error: None,
            waits_for: sketch.parents.iter().map(|parent| TaskId(*parent)).collect(),
            parents: Vec::new(),
            deadline: None,
            progress: None,
            group_key: None,
            token: None,
            worker: None,
            payload: json!({"job_id": 1}),
            output: None,
        },
        created_at: at,
        share_key: None,
        ahead: sketch.ahead,
        share_running: 0,
        share_limit: None,
        cancel_why: None,
        lease_is_over: false,
    };
    let queue = QueueOutlook {
        queue: "ffmpeg".into(),
        paused: is_paused.then(|| (at, "a look".to_owned())),
        max_running: None,
        rate: None,
        rate_opens_at: None,
        fair: false,
        running: 1,
        ready: 0,
        workers,
        slots: 2 * workers,
    };
    Facts {
        job: JobFacts {
            client_id: None,
            campaign_id: None,
            at,
            state: JobState::Processing,
            spec: JobSpec {
                reuse: true,
                model: "google/veo-3.1-fast".into(),
                resolution: "1080p".into(),
                aspect: "16:9".into(),
                audio: false,
                music: false,
                music_fade_ms: spool_job::spec::USUAL_FADE_MS,
                on_scene_failure: OnSceneFailure::Fail,
                on_music_failure: OnMusicFailure::Halt,
            },
            estimate: Micros(0),
            error_code: None,
            error: None,
            partial: false,
            approved_at: Some(at),
            origin: None,
            finished_at: None,
        },
        shots: Vec::new(),
        calls: Vec::new(),
        outlook: Outlook {
            at,
            tasks: sketches.iter().enumerate().map(task).collect(),
            queues: vec![queue],
            typical: Vec::new(),
        },
        budgets: Vec::new(),
        stop: None,
        obstacles: HashMap::new(),
        lines: HashMap::new(),
        money_lines: HashMap::new(),
        typical_calls: Vec::new(),
        learned: Learned::default(),
    }
}

proptest! {
    #[test]
    fn times_are_in_order_and_unknown_ones_say_why(sketches in sketches(), workers in 0..3_u64, is_paused: bool) {
        let (tasks, whole) = forecast(&facts(&sketches, workers, is_paused));
        prop_assert_eq!(tasks.len(), sketches.len(), "every task has one");
        for (id, found) in &tasks {
            let sketch = &sketches[*id as usize];
            for estimate in [&found.start, &found.end, &whole] {
                prop_assert!(estimate.late.is_none() || estimate.early <= estimate.late, "{:?}", estimate);
                prop_assert!(estimate.early.is_some() || estimate.late.is_none(), "{:?}", estimate);
                let is_known = estimate.early.is_some() && estimate.late.is_some();
                prop_assert_eq!(is_known, estimate.reason.is_none(), "{:?}", estimate);
            }
            prop_assert!(found.end.early.is_none() || (found.end.early >= Some(now()) && found.start.early <= found.end.early));
            for parent in &sketch.parents {
                let parent = &tasks[parent].end;
                prop_assert!(parent.early.is_some() || found.start.early.is_none(), "a child cannot know more");
                prop_assert!(parent.late.is_some() || found.start.late.is_none(), "a child cannot know more");
                prop_assert!(found.start.early.is_none() || found.start.early >= parent.early);
            }
            let is_held = (workers == 0 || is_paused) && sketch.state != TaskState::Running;
            prop_assert!(!is_held || found.start.early.is_none(), "nobody knows when it starts: {:?}", found.start);
            prop_assert!(whole.early.is_none() || whole.early >= found.end.early);
        }
    }
}
