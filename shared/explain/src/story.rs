//! One sentence for a task, one for the job.

use spool_job::money::Micros;
use spool_job::state::JobState;
use spool_queue::TaskState;
use spool_queue::inspect::{LAST_PLACE, TaskOutlook};

use crate::answer::{FirstFailure, TaskExplanation};
use crate::facts::Facts;
use crate::gate::Gate;
use crate::words::{capital, label, moment};

/// A task that has something to say of its gates, its run or its end.
pub(crate) fn of_task(facts: &Facts, task: &TaskOutlook, gates: &[Gate]) -> String {
    let now = facts.now();
    let name = capital(&label(&task.view.kind, facts.scene_of(task)));
    let ended = |verb: &str| {
        task.view.finished_at.map_or_else(|| verb.to_owned(), |at| format!("{verb} at {}", moment(now, at)))
    };
    let because = |why: Option<&str>| why.map_or_else(String::new, |why| format!(": {why}"));
    match task.view.state {
        TaskState::Succeeded => format!("{name} {}.", ended("was done")),
        TaskState::Failed => {
            format!("{name} {}{}.", ended("failed"), because(task.view.last_error.as_deref()))
        }
        TaskState::Canceled => {
            format!("{name} {}{}.", ended("was canceled"), because(task.view.why.as_deref()))
        }
        TaskState::Running if gates.is_empty() => format!("{name} {}.", runs(facts, task)),
        TaskState::Ready if gates.is_empty() => format!("{name} is ready: {}.", line(task)),
        state => {
            let mut gates: Vec<&Gate> = gates.iter().collect();
            gates.sort_by_key(|gate| gate.urgency());
            let clauses: Vec<String> = gates.iter().map(|gate| gate.clause(now)).collect();
            let place = match task.ahead {
                Some(ahead) if state == TaskState::Ready && ahead > 0 => format!("; {}", line(task)),
                _ => money_line(facts, task),
            };
            format!("{name} {}{place}.", clauses.join("; also "))
        }
    }
}

fn runs(facts: &Facts, task: &TaskOutlook) -> String {
    let since =
        task.view.started_at.map_or_else(String::new, |at| format!(" since {}", moment(facts.now(), at)));
    let progress = task
        .view
        .progress
        .as_ref()
        .map_or_else(String::new, |progress| format!(", {} % done: {}", progress.percent, progress.note));
    format!("runs{since}{progress}")
}

fn line(task: &TaskOutlook) -> String {
    let queue = &task.view.queue;
    match task.ahead {
        Some(0) => "a worker takes it next".to_owned(),
        Some(1) => format!("one ready task of queue {queue} goes before it"),
        Some(ahead) => format!("{ahead} ready tasks of queue {queue} go before it"),
        None => format!("more than {LAST_PLACE} ready tasks of queue {queue} go before it"),
    }
}

/// Who has waited longer for money. The line before a provider is a gate of its own.
fn money_line(facts: &Facts, task: &TaskOutlook) -> String {
    let id = task.view.id.0;
    let place = facts.money_lines.get(&id).filter(|_| !facts.lines.contains_key(&id));
    match place {
        Some(0) | None => String::new(),
        Some(1) => "; one task has waited longer for money".to_owned(),
        Some(ahead) => format!("; {ahead} tasks have waited longer for money"),
    }
}

/// What keeps the job as a whole from going on.
pub(crate) fn gates(facts: &Facts, tasks: &[TaskExplanation]) -> Vec<Gate> {
    let mut gates = match facts.job.state {
        JobState::Pending => vec![Gate::Approval { estimate_micros: facts.job.estimate.0 }],
        JobState::Planning => vec![Gate::Planning],
        _ => Vec::new(),
    };
    for gate in tasks.iter().flat_map(|task| &task.gates) {
        if !matches!(gate, Gate::Parents { .. }) && !gate.is_progress() && !gates.contains(gate) {
            gates.push(gate.clone());
        }
    }
    gates.sort_by_key(Gate::urgency);
    gates
}

/// Why a job without tasks has no end in sight.
pub(crate) fn not_begun(facts: &Facts) -> &'static str {
    match facts.job.state {
        JobState::Pending => "it waits for approval",
        JobState::Planning => "its storyboard is being written",
        _ => "none of its tasks is in the queue",
    }
}

/// The job as a whole.
pub(crate) fn of_job(
    facts: &Facts,
    tasks: &[TaskExplanation],
    gates: &[Gate],
    failure: Option<&FirstFailure>,
) -> String {
    let now = facts.now();
    let at = facts.job.finished_at.map_or_else(String::new, |at| format!(" at {}", moment(now, at)));
    match facts.job.state {
        JobState::Completed if facts.job.partial => {
            let lost = failure.map_or_else(String::new, |failure| format!(": {}", first(failure)));
            format!("Completed{at} without some of its scenes{lost}.")
        }
        JobState::Completed => format!("Completed{at}."),
        JobState::Canceled => format!("Canceled{at}."),
        JobState::Failed => {
            let why = failure.map(first).or_else(|| facts.job.error.clone());
            format!("Failed{at}: {}.", why.unwrap_or_else(|| "no error was given".to_owned()))
        }
        JobState::Planning | JobState::Pending => {
            gates.first().map_or_else(String::new, |gate| format!("{}.", capital(&gate.clause(now))))
        }
        JobState::Approved | JobState::Processing => live(facts, tasks, gates),
    }
}

fn first(failure: &FirstFailure) -> String {
    format!("{} failed: {}", label(&failure.kind, failure.scene), failure.error)
}

/// What goes on, or what keeps everything from going on.
fn live(facts: &Facts, tasks: &[TaskExplanation], gates: &[Gate]) -> String {
    let now = facts.now();
    let done = tasks.iter().filter(|task| task.state == TaskState::Succeeded.as_str()).count();
    let moves = |task: &&TaskExplanation| {
        let is_waiting = matches!(task.state, "ready" | "running" | "parked");
        is_waiting && task.gates.iter().all(Gate::is_progress)
    };
    let moving: Vec<&TaskExplanation> = tasks.iter().filter(moves).collect();
    let held = |task: &&TaskExplanation| task.gates.iter().any(|gate| gates.contains(gate));
    let held: Vec<&TaskExplanation> = tasks.iter().filter(held).collect();
    let holds = gates.first().map(|gate| {
        let of = held.iter().find(|task| task.gates.contains(gate));
        (gate, of)
    });
    let others = |count: usize| match count {
        0 => String::new(),
        1 => " (one other task waits too)".to_owned(),
        count => format!(" ({count} other tasks wait too)"),
    };
    match (moving.first(), holds) {
        (None, Some((gate, _))) => {
            format!("{}{}.", capital(&gate.clause(now)), others(held.len().saturating_sub(1)))
        }
        (Some(_), holds) => {
            let names: Vec<String> =
                moving.iter().take(3).map(|task| label(&task.kind, task.scene)).collect();
            let more = match moving.len() {
                0..=3 => String::new(),
                count => format!(" and {} more", count - 3),
            };
            let under_way = format!(
                "In progress: {done} of {} tasks are done, under way: {}{more}",
                tasks.len(),
                names.join(", ")
            );
            match holds {
                Some((gate, Some(of))) => format!(
                    "{under_way}; {} {}{}.",
                    label(&of.kind, of.scene),
                    gate.clause(now),
                    others(held.len() - 1)
                ),
                _ => format!("{under_way}."),
            }
        }
        (None, None) if tasks.is_empty() => {
            format!("Approved for {}; none of its tasks is in the queue.", Micros(facts.job.estimate.0))
        }
        (None, None) => format!("Between two tasks: {done} of {} are done.", tasks.len()),
    }
}
