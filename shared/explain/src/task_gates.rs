//! Which gates a task has not passed.

use spool_db::limits::InLine;
use spool_job::prediction::PredictionState;
use spool_queue::TaskState;
use spool_queue::inspect::{QueueOutlook, TaskOutlook};

use crate::facts::{Facts, Purchase};
use crate::gate::{Gate, Parent};

/// The gates before a task, as it stands now. A task that waits for others shows only those: the rest comes when they are done.
pub(crate) fn gates(facts: &Facts, task: &TaskOutlook) -> Vec<Gate> {
    match task.view.state {
        TaskState::Succeeded | TaskState::Failed | TaskState::Canceled => Vec::new(),
        TaskState::Blocked => vec![Gate::Parents { tasks: parents(facts, task) }],
        TaskState::Running => running(task),
        TaskState::Ready | TaskState::Scheduled | TaskState::Parked => {
            let mut gates = holds(facts, task);
            if task.view.state == TaskState::Ready {
                gates.extend(
                    facts.queue(&task.view.queue).map(|queue| room(task, queue)).into_iter().flatten(),
                );
            }
            if let Some(at) = task.view.deadline.filter(|at| *at <= facts.now()) {
                gates.push(Gate::Deadline { at });
            }
            let waits_outside = gates.iter().any(is_reason_to_park);
            match task.view.state {
                TaskState::Scheduled => gates.push(Gate::RunAt {
                    at: task.view.run_at,
                    error: task.view.last_error.clone().filter(|_| task.view.attempt > 0),
                }),
                // A task that waits for money or a provider is parked for just that.
                TaskState::Parked if !waits_outside => gates.push(Gate::Parked {
                    why: task.view.why.clone().unwrap_or_else(|| "no reason was given".to_owned()),
                    until: task.view.run_at,
                }),
                _ => {}
            }
            gates
        }
    }
}

/// What holds a task back or will, whatever else it waits for: its queue, its provider, money.
pub(crate) fn holds(facts: &Facts, task: &TaskOutlook) -> Vec<Gate> {
    let mut gates = Vec::new();
    if let Some(queue) = facts.queue(&task.view.queue) {
        if let Some((since, why)) = &queue.paused {
            gates.push(Gate::QueuePaused { queue: queue.queue.clone(), why: why.clone(), since: *since });
        }
        if queue.workers == 0 {
            gates.push(Gate::NoWorker { queue: queue.queue.clone() });
        }
    }
    if let Some(purchase) = facts.purchase_of(task) {
        match facts.standing_call(&purchase) {
            Some(call) if call.state == PredictionState::Succeeded => {}
            Some(call) => gates.push(Gate::Prediction {
                prediction_id: call.id,
                model: call.model.clone(),
                state: call.state.as_str(),
                since: call.intent_at,
            }),
            None => before_buying(facts, task, &purchase, &mut gates),
        }
    }
    gates
}

/// In the order in which a purchase meets them: provider, stop, budgets.
fn before_buying(facts: &Facts, task: &TaskOutlook, purchase: &Purchase, gates: &mut Vec<Gate>) {
    let obstacles = facts.obstacles.get(&purchase.model.slug).into_iter().flatten();
    let line = facts.lines.get(&task.view.id.0).map(InLine::obstacle);
    gates.extend(obstacles.cloned().chain(line).map(|found| Gate::Provider {
        provider: purchase.model.provider.clone(),
        model: purchase.model.slug.clone(),
        obstacle: found.what,
        why: found.why,
        until: found.until,
    }));
    if let Some(stop) = &facts.stop {
        gates.push(Gate::EmergencyStop { why: stop.why.clone(), since: stop.at });
    }
    let Some(price) = purchase.price else { return };
    for standing in &facts.budgets {
        let Some(hard) = standing.budget.hard else { continue };
        let missing = standing.reserved.0 + standing.settled.0 + price.0 - hard.0;
        if missing > 0 {
            gates.push(Gate::Budget {
                scope: standing.budget.scope.word(),
                scope_id: standing.budget.scope.key(),
                period: standing.budget.period.as_str(),
                hard_micros: hard.0,
                wanted_micros: price.0,
                missing_micros: missing,
                turns_at: standing.turns_at,
            });
        }
    }
}

const fn is_reason_to_park(gate: &Gate) -> bool {
    matches!(
        gate,
        Gate::Prediction { .. } | Gate::Provider { .. } | Gate::EmergencyStop { .. } | Gate::Budget { .. }
    )
}

/// Whether the queue has room for one more: its limits first, then the slots of its workers.
fn room(task: &TaskOutlook, queue: &QueueOutlook) -> Vec<Gate> {
    let mut gates = Vec::new();
    let name = || queue.queue.clone();
    if let Some(limit) = queue.max_running.filter(|limit| queue.running >= *limit) {
        gates.push(Gate::QueueLimit { queue: name(), limit, running: queue.running });
    }
    if let (Some(share), Some(limit)) = (&task.share_key, task.share_limit)
        && task.share_running >= limit
    {
        let running = task.share_running;
        gates.push(Gate::ShareLimit { queue: name(), share: share.clone(), limit, running });
    }
    if let (Some(rate), Some(opens_at)) = (queue.rate, queue.rate_opens_at) {
        let per_ms = u64::try_from(rate.per.as_millis()).unwrap_or(u64::MAX);
        gates.push(Gate::QueueRate { queue: name(), tasks: rate.tasks, per_ms, opens_at });
    }
    if gates.is_empty() && queue.workers > 0 && queue.running >= queue.slots {
        gates.push(Gate::Slots { queue: name(), slots: queue.slots, running: queue.running });
    }
    gates
}

fn running(task: &TaskOutlook) -> Vec<Gate> {
    let mut gates = Vec::new();
    if task.lease_is_over {
        gates.push(Gate::LostWorker { queue: task.view.queue.clone() });
    }
    if let Some(why) = &task.cancel_why {
        gates.push(Gate::Stopping { why: why.clone() });
    }
    gates
}

fn parents(facts: &Facts, task: &TaskOutlook) -> Vec<Parent> {
    let is_waited_for = |other: &&TaskOutlook| task.view.waits_for.contains(&other.view.id);
    let others = facts.outlook.tasks.iter().filter(is_waited_for);
    others
        .map(|other| Parent {
            task_id: other.view.id.0,
            kind: other.view.kind.clone(),
            scene: facts.scene_of(other),
            state: other.view.state.as_str(),
        })
        .collect()
}
