//! When tasks will start and end: how long their kinds usually take, along the longest path of what is left. What nobody can
//! know stays unknown and says why.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use spool_job::prediction::{PredictionState, Purpose};
use spool_job::tasks::TaskKind;
use spool_queue::TaskState;
use spool_queue::inspect::{LAST_PLACE, QueueOutlook, TaskOutlook};

use crate::answer::{Basis, Estimate};
use crate::facts::{Facts, kind};
use crate::gate::Gate;
use crate::task_gates::holds;
use crate::words::label;

/// So many runs are enough to go by.
const ENOUGH: u64 = 5;

/// How long a kind takes where nothing is known of it: half of them at most the one, nearly all at most the other.
const fn default_seconds(kind: Option<TaskKind>) -> (u64, u64) {
    match kind {
        Some(TaskKind::Render) => (90, 300),
        Some(TaskKind::Music) => (30, 120),
        Some(TaskKind::Collect | TaskKind::Recall) => (5, 30),
        Some(TaskKind::Stitch | TaskKind::Mix) => (5, 60),
        Some(TaskKind::Verify) => (10, 90),
        Some(TaskKind::Close | TaskKind::Orphans | TaskKind::HookLog) => (1, 5),
        Some(TaskKind::Deliver) => (1, 15),
        None => (10, 120),
    }
}

/// How long something takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Takes {
    pub(crate) median: TimeDelta,
    pub(crate) p95: TimeDelta,
    pub(crate) basis: Basis,
}

/// A moment that may come early or late; what is not known says why.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    early: Result<DateTime<Utc>, String>,
    late: Result<DateTime<Utc>, String>,
}

impl Span {
    fn at(moment: DateTime<Utc>) -> Self {
        Self { early: Ok(moment), late: Ok(moment) }
    }

    fn unknown(why: impl Into<String>) -> Self {
        let why = why.into();
        Self { early: Err(why.clone()), late: Err(why) }
    }

    fn no_sooner(at: DateTime<Utc>, why: impl Into<String>) -> Self {
        Self { early: Ok(at), late: Err(why.into()) }
    }

    /// Both have come.
    fn and(self, other: Self) -> Self {
        let later = |one: Result<DateTime<Utc>, String>, two| match (one, two) {
            (Ok(one), Ok(two)) => Ok(std::cmp::max(one, two)),
            (Err(why), _) | (_, Err(why)) => Err(why),
        };
        Self { early: later(self.early, other.early), late: later(self.late, other.late) }
    }

    fn then(self, takes: Takes) -> Self {
        Self { early: self.early.map(|at| at + takes.median), late: self.late.map(|at| at + takes.p95) }
    }

    fn estimate(&self, basis: Option<Basis>) -> Estimate {
        let reason = self.early.as_ref().err().or(self.late.as_ref().err()).cloned();
        let (early, late) = (self.early.clone().ok(), self.late.clone().ok());
        Estimate { early, late, basis: basis.filter(|_| early.is_some()), reason }
    }
}

/// Start and end of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forecast {
    pub(crate) start: Estimate,
    pub(crate) end: Estimate,
}

/// The tasks' forecasts by number, and the job's end.
pub(crate) fn forecast(facts: &Facts) -> (HashMap<i64, Forecast>, Estimate) {
    let live: Vec<&TaskOutlook> =
        facts.outlook.tasks.iter().filter(|task| !task.view.state.is_final()).collect();
    let mut spans: HashMap<i64, (Span, Span)> = HashMap::with_capacity(live.len());
    let mut open: Vec<&TaskOutlook> = live.clone();
    // Each round settles the tasks all of whose parents are settled.
    while !open.is_empty() {
        let is_settled = |spans: &HashMap<i64, (Span, Span)>, id: i64| {
            spans.contains_key(&id) || !live.iter().any(|task| task.view.id.0 == id)
        };
        let (now, later): (Vec<_>, Vec<_>) = open
            .into_iter()
            .partition(|task| task.view.waits_for.iter().all(|parent| is_settled(&spans, parent.0)));
        if now.is_empty() {
            break;
        }
        for task in now {
            let start = start(facts, task, &spans);
            let end = end(facts, task, start.clone());
            spans.insert(task.view.id.0, (start, end));
        }
        open = later;
    }
    let mut whole: Option<Span> = None;
    let mut weakest: Option<Basis> = None;
    let mut forecasts = HashMap::with_capacity(spans.len());
    for task in &live {
        let Some((start, end)) = spans.get(&task.view.id.0) else { continue };
        let basis = takes(facts, task).basis;
        let with_collect =
            if buys(task) { basis.weaker(of_kind(facts, TaskKind::Collect.as_str()).basis) } else { basis };
        weakest = Some(weakest.map_or(with_collect, |weakest| weakest.weaker(with_collect)));
        whole = Some(match whole {
            Some(whole) => whole.and(released(facts, task, end)),
            None => released(facts, task, end),
        });
        let forecast = Forecast { start: start.estimate(None), end: end.estimate(Some(basis)) };
        forecasts.insert(task.view.id.0, forecast);
    }
    let whole = match whole {
        Some(whole) if forecasts.len() == live.len() => whole,
        Some(_) => Span::unknown("what some of its tasks wait for is not known"),
        None => Span::unknown("none of its tasks is in the queue"),
    };
    (forecasts, whole.estimate(weakest))
}

/// When a task that waits for this one may go on: what was bought is collected first.
fn released(facts: &Facts, task: &TaskOutlook, end: &Span) -> Span {
    if buys(task) { end.clone().then(of_kind(facts, TaskKind::Collect.as_str())) } else { end.clone() }
}

fn buys(task: &TaskOutlook) -> bool {
    matches!(kind(task), Some(TaskKind::Render | TaskKind::Music))
}

fn start(facts: &Facts, task: &TaskOutlook, spans: &HashMap<i64, (Span, Span)>) -> Span {
    let now = facts.now();
    if let Some(begun) = begun(facts, task) {
        return Span::at(begun);
    }
    let mut start = Span::at(now);
    for parent in &task.view.waits_for {
        if let Some((_, end)) = spans.get(&parent.0)
            && let Some(parent) = facts.outlook.tasks.iter().find(|other| other.view.id == *parent)
        {
            start = start.and(released(facts, parent, end));
        }
    }
    let passed = holds(facts, task).iter().map(|gate| passes(facts, task, gate)).reduce(Span::and);
    if let Some(passed) = passed {
        start = start.and(passed);
    }
    match task.view.state {
        TaskState::Scheduled | TaskState::Parked => {
            // What is parked for a reason that has a gate starts when that gate opens; the park only looks whether it has.
            let at = std::cmp::max(task.view.run_at, now);
            let is_explained = task.view.state == TaskState::Parked && !holds(facts, task).is_empty();
            if is_explained { start } else { start.and(Span::at(at)) }
        }
        TaskState::Ready => match facts.queue(&task.view.queue) {
            Some(queue) => start.and(turn(facts, task, queue)),
            None => start,
        },
        _ => start,
    }
}

/// When it began, if it has: what is bought began with the call.
fn begun(facts: &Facts, task: &TaskOutlook) -> Option<DateTime<Utc>> {
    let purchase = facts.purchase_of(task);
    let call = purchase.as_ref().and_then(|purchase| facts.standing_call(purchase));
    match (call, task.view.state) {
        (Some(call), _) => Some(call.intent_at),
        (None, TaskState::Running) => task.view.started_at,
        _ => None,
    }
}

/// When a gate lets a task pass.
fn passes(facts: &Facts, task: &TaskOutlook, gate: &Gate) -> Span {
    let now = facts.now();
    match gate {
        Gate::QueuePaused { queue, .. } => {
            Span::unknown(format!("nobody knows when queue {queue} is resumed"))
        }
        Gate::NoWorker { queue } => Span::unknown(format!("no worker that serves queue {queue} is alive")),
        Gate::EmergencyStop { .. } => Span::unknown("nobody knows when the stop of all spending is lifted"),
        Gate::Budget { turns_at: Some(at), .. } => {
            Span::no_sooner(*at, "other purchases that wait for the same money may go first")
        }
        Gate::Budget { turns_at: None, .. } => {
            Span::unknown("nobody knows when the limit on the money is raised")
        }
        Gate::Provider { until: Some(until), .. } => Span::at(std::cmp::max(*until, now)),
        Gate::Provider { provider, obstacle: "line", until: None, .. } => {
            match facts.lines.get(&task.view.id.0).and_then(|place| place.soonest) {
                Some(at) => Span::no_sooner(
                    std::cmp::max(at, now),
                    format!("clients that come to {provider} meanwhile have their turns too"),
                ),
                None => Span::unknown(format!("no rate of {provider} is known")),
            }
        }
        Gate::Provider { provider, until: None, .. } => {
            Span::unknown(format!("nobody knows when {provider} takes calls again"))
        }
        _ => Span::at(now),
    }
}

/// When a ready task has its turn, given what goes before it.
fn turn(facts: &Facts, task: &TaskOutlook, queue: &QueueOutlook) -> Span {
    let now = facts.now();
    let slots = queue.max_running.map_or(queue.slots, |limit| limit.min(queue.slots));
    if slots == 0 {
        return Span::unknown(format!("queue {} may run nothing", queue.queue));
    }
    if let Some(limit) = task.share_limit.filter(|limit| task.share_running >= *limit) {
        let why = format!("{} tasks of the same client run, and {limit} may", task.share_running);
        return if limit == 0 { Span::unknown(why) } else { Span::no_sooner(now, why) };
    }
    let Some(ahead) = task.ahead else {
        return Span::no_sooner(now, format!("more than {LAST_PLACE} tasks go before it"));
    };
    let free = slots.saturating_sub(queue.running);
    // How often all slots have to change hands before it has one.
    let rounds = if ahead < free { 0 } else { (ahead - free) / slots + 1 };
    let rounds = i32::try_from(rounds).unwrap_or(i32::MAX);
    let run = of_kind(facts, &task.view.kind);
    let mut turn = Span {
        early: Ok(later(now, run.median, (rounds - 1).max(0))),
        late: Ok(later(now, run.p95, rounds)),
    };
    if let Some(rate) = queue.rate {
        let opens_at = queue.rate_opens_at.unwrap_or(now);
        let step =
            TimeDelta::from_std(rate.per).unwrap_or_default() / i32::try_from(rate.tasks).unwrap_or(i32::MAX);
        let beyond_burst = i32::try_from(ahead.saturating_sub(u64::from(rate.burst))).unwrap_or(i32::MAX);
        let ahead = i32::try_from(ahead).unwrap_or(i32::MAX);
        turn = turn.and(Span {
            early: Ok(later(opens_at, step, beyond_burst)),
            late: Ok(later(opens_at, step, ahead)),
        });
    }
    turn
}

fn later(from: DateTime<Utc>, step: TimeDelta, times: i32) -> DateTime<Utc> {
    step.checked_mul(times).and_then(|wait| from.checked_add_signed(wait)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// When a task that starts then ends. One that has begun ends no sooner than now; one that takes longer than nearly all
/// before it ends nobody knows when.
fn end(facts: &Facts, task: &TaskOutlook, start: Span) -> Span {
    let now = facts.now();
    let takes = takes(facts, task);
    let purchase = facts.purchase_of(task);
    let call = purchase.as_ref().and_then(|purchase| facts.standing_call(purchase));
    match call.map(|call| call.state) {
        Some(PredictionState::Succeeded) => return Span::at(now),
        Some(PredictionState::InDoubt) => {
            return Span::unknown("an operator has to find out whether it was bought");
        }
        Some(PredictionState::Unknown) => {
            return Span::no_sooner(now, "nobody knows yet whether it was bought");
        }
        _ => {}
    }
    if task.view.deadline.is_some_and(|at| at <= now) {
        return Span::at(now);
    }
    let has_begun = begun(facts, task).is_some();
    let end = start.then(takes);
    if !has_begun {
        return end;
    }
    let held = holds(facts, task).iter().map(|gate| passes(facts, task, gate)).reduce(Span::and);
    let end = Span {
        early: end.early.map(|at| at.max(now)),
        late: end.late.and_then(|at| {
            let what = label(&task.view.kind, facts.scene_of(task));
            if at >= now { Ok(at) } else { Err(format!("{what} takes longer than 95 of 100 do")) }
        }),
    };
    held.map_or(end.clone(), |held| end.and(held))
}

/// How long a task takes once it has begun, all of it.
fn takes(facts: &Facts, task: &TaskOutlook) -> Takes {
    let purpose = match kind(task) {
        Some(TaskKind::Render) => Purpose::Render,
        Some(TaskKind::Music) => Purpose::Music,
        _ => return of_kind(facts, &task.view.kind),
    };
    let known = facts.typical_calls.iter().find(|known| known.purpose == purpose && known.calls >= ENOUGH);
    known.map_or_else(|| default(kind(task)), |known| history(known.median, known.p95, known.calls))
}

/// How long one run of a kind takes.
pub(crate) fn of_kind(facts: &Facts, name: &str) -> Takes {
    let parsed: Option<TaskKind> = name.parse().ok();
    let known = facts.outlook.typical.iter().find(|known| known.kind == name && known.runs >= ENOUGH);
    match (known, parsed) {
        (Some(known), _) => history(known.median, known.p95, known.runs),
        // One look, one POST: the rest of it is spent parked.
        (None, Some(TaskKind::Render | TaskKind::Music)) => {
            Takes { median: seconds(1), p95: seconds(5), basis: Basis::Default }
        }
        (None, parsed) => default(parsed),
    }
}

fn seconds(seconds: u64) -> TimeDelta {
    TimeDelta::from_std(Duration::from_secs(seconds)).unwrap_or_default()
}

fn default(kind: Option<TaskKind>) -> Takes {
    let (median, p95) = default_seconds(kind);
    Takes { median: seconds(median), p95: seconds(p95), basis: Basis::Default }
}

fn history(median: Duration, p95: Duration, runs: u64) -> Takes {
    let delta = |duration| TimeDelta::from_std(duration).unwrap_or_default();
    Takes { median: delta(median), p95: delta(p95), basis: Basis::History { runs } }
}
