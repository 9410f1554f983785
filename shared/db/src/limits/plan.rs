//! Who may start when: pure, so that it can be held against a model. Rates by GCRA, turns by start-time fair queueing.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// A moment of the database's clock.
pub type Moment = DateTime<Utc>;

/// What stands before the calls of an account or of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Theoretical arrival time: the next call is due then.
    pub next_at: Moment,
    /// Time between calls; none where the rate is not limited.
    pub step: Option<TimeDelta>,
    /// How much earlier than due a call may come.
    pub tolerance: TimeDelta,
    /// Nothing starts before.
    pub not_before: Option<Moment>,
    /// How many more may be in flight.
    pub room: i64,
    /// Only the cheapest waiting task may go, as a probe.
    pub probing: bool,
}

impl Gate {
    /// A gate that lets everything pass.
    pub const fn open() -> Self {
        Self {
            next_at: Moment::MIN_UTC,
            step: None,
            tolerance: TimeDelta::zero(),
            not_before: None,
            room: i64::MAX,
            probing: false,
        }
    }

    /// The first moment from `now` at which a call may be made.
    pub fn earliest(&self, now: Moment) -> Moment {
        let due = match self.step {
            Some(_) => self.next_at.checked_sub_signed(self.tolerance).unwrap_or(Moment::MIN_UTC),
            None => Moment::MIN_UTC,
        };
        due.max(now).max(self.not_before.unwrap_or(Moment::MIN_UTC))
    }

    /// Books a call at a moment that is not before the earliest.
    pub fn take(&mut self, at: Moment) {
        if let Some(step) = self.step {
            self.next_at = self.next_at.max(at) + step;
        }
        self.room = self.room.saturating_sub(1);
    }
}

/// A task in the line.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub task: i64,
    /// Whose work it is.
    pub share: String,
    pub model: String,
    pub since: Moment,
    /// Micro-dollars; the cheapest is the probe.
    pub cost: i64,
}

/// What is said of a share, and what it has had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    pub weight: f64,
    /// Turns per weight.
    pub served: f64,
}

impl Default for Share {
    fn default() -> Self {
        Self { weight: 1.0, served: 0.0 }
    }
}

/// Everything a plan depends on, and what it leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub account: Gate,
    /// Models that have limits of their own; all others pass.
    pub models: BTreeMap<String, Gate>,
    pub shares: BTreeMap<String, Share>,
    /// Start tag of the last turn given.
    pub virtual_time: f64,
}

/// A turn: the task may start from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub task: i64,
    pub share: String,
    pub model: String,
    pub at: Moment,
}

/// Gives turns until `horizon`, at most `most`, in fair order: each share in proportion to its weight, within a share the
/// longest waiting first. A task whose model is held up holds up nobody else.
pub fn plan(state: &mut State, waiting: &[Waiting], now: Moment, horizon: Moment, most: usize) -> Vec<Turn> {
    let mut lines = lines(state, waiting, now, horizon);
    let mut turns = Vec::new();
    while turns.len() < most && state.account.room > 0 {
        let Some((at, key)) = next(state, &lines, now) else { break };
        if at > horizon {
            break;
        }
        let Some(line) = lines.get_mut(&key) else { break };
        let chosen = line.remove(0);
        if line.is_empty() {
            lines.remove(&key);
        }
        state.account.take(at);
        if let Some(gate) = state.models.get_mut(&chosen.model) {
            gate.take(at);
        }
        let share = state.shares.entry(chosen.share.clone()).or_default();
        let tag = share.served.max(state.virtual_time);
        share.served = tag + share.weight.recip();
        state.virtual_time = tag;
        turns.push(Turn { task: chosen.task, share: chosen.share.clone(), model: chosen.model.clone(), at });
    }
    turns
}

type Lines<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Waiting>>;

/// Those who may go at all, by share and model, longest waiting first.
fn lines<'a>(state: &mut State, waiting: &'a [Waiting], now: Moment, horizon: Moment) -> Lines<'a> {
    let cheapest = |model: Option<&str>| {
        let candidates = waiting.iter().filter(|one| model.is_none_or(|model| one.model == model));
        candidates.min_by_key(|one| (one.cost, one.since, one.task)).map(|one| one.task)
    };
    let probed: BTreeMap<&str, Option<i64>> = state
        .models
        .iter()
        .filter(|(_, gate)| gate.probing)
        .map(|(model, _)| (model.as_str(), cheapest(Some(model))))
        .collect();
    let open = |one: &&Waiting| {
        let room = state.models.get(&one.model).is_none_or(|gate| gate.room > 0);
        room && probed.get(one.model.as_str()).is_none_or(|probe| *probe == Some(one.task))
    };
    let mut allowed: Vec<&Waiting> = waiting.iter().filter(open).collect();
    if state.account.probing {
        // The probe is one that can go: a cheaper one whose model is held back would keep the account closed.
        allowed.retain(|one| state.models.get(&one.model).is_none_or(|gate| gate.earliest(now) <= horizon));
        allowed.sort_by_key(|one| (one.cost, one.since, one.task));
        allowed.truncate(1);
        state.account.room = state.account.room.min(1);
    }
    allowed.sort_by_key(|one| (one.since, one.task));
    let mut lines = Lines::new();
    for one in allowed {
        lines.entry((one.share.as_str(), one.model.as_str())).or_default().push(one);
    }
    lines
}

/// The next turn's time, and whose it is. Only who could go then is asked whose turn it is, so a slow model costs no time.
fn next<'a>(state: &State, lines: &Lines<'a>, now: Moment) -> Option<(Moment, (&'a str, &'a str))> {
    let account = state.account.earliest(now);
    let ready_at = |model: &str| match state.models.get(model) {
        Some(gate) if gate.room <= 0 => None,
        Some(gate) => Some(gate.earliest(now).max(account)),
        None => Some(account),
    };
    let at = lines.keys().filter_map(|(_, model)| ready_at(model)).min()?;
    let tag = |share: &str| state.shares.get(share).map_or(0.0, |share| share.served).max(state.virtual_time);
    let ready = lines.iter().filter(|((_, model), _)| ready_at(model) == Some(at));
    let first = ready.min_by(|((one, _), mine), ((other, _), theirs)| {
        let since = |line: &[&Waiting]| line.first().map(|first| (first.since, first.task));
        tag(one).total_cmp(&tag(other)).then_with(|| since(mine).cmp(&since(theirs)))
    })?;
    Some((at, *first.0))
}
