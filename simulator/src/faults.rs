//! The faults in force: which rule strikes which call. Chances are drawn from the seed, the rule's number and
//! the call's, so the same calls in the same order break the same way.

use crate::fault::{Always, Fault, Route, Rule, Stage, Times};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Semaphore, watch};

/// A rule with its history.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Active {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) rule: Rule,
    /// Calls that matched, struck or not.
    pub(crate) seen: u64,
    /// How often it struck.
    pub(crate) fired: u64,
}

/// What a call looks like to the rules.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Call<'a> {
    pub(crate) route: Option<Route>,
    pub(crate) model: Option<&'a str>,
    /// The input as JSON text.
    pub(crate) input: Option<&'a str>,
    /// Kind of webhook.
    pub(crate) event: Option<&'a str>,
}

#[derive(Default)]
struct Rules {
    active: Vec<Active>,
    next_id: u64,
}

/// The faults in force.
pub(crate) struct Faults {
    rules: Mutex<Rules>,
    seed: u64,
    /// Whether a rule holds runs back, and how many of those may end all the same.
    holding: watch::Sender<bool>,
    released: Semaphore,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rules: Mutex::default(),
            seed,
            holding: watch::Sender::new(false),
            released: Semaphore::new(0),
        }
    }

    pub(crate) fn add(&self, added: Vec<Rule>) -> Vec<u64> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ids = Vec::new();
        for rule in added {
            rules.next_id += 1;
            ids.push(rules.next_id);
            if rule.fault == Fault::Hold {
                self.holding.send_replace(true);
            }
            let id = rules.next_id;
            rules.active.push(Active { id, rule, seen: 0, fired: 0 });
        }
        ids
    }

    pub(crate) fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).active.clear();
        self.holding.send_replace(false);
    }

    /// Lets so many of the runs that are held back end, those that have waited longest.
    pub(crate) fn release(&self, count: usize) {
        self.released.add_permits(count.min(Semaphore::MAX_PERMITS / 2));
    }

    /// Waits until a run that is held back may end.
    pub(crate) async fn let_go(&self) {
        let mut holding = self.holding.subscribe();
        tokio::select! {
            // Errors mean that the simulator ends.
            _ = holding.wait_for(|holding| !holding) => {}
            permit = self.released.acquire() => if let Ok(permit) = permit { permit.forget() },
        }
    }

    pub(crate) fn all(&self) -> Vec<Active> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).active.clone()
    }

    /// The faults of a stage that looks at many models at once, with the model each is about.
    pub(crate) fn standing(&self, stage: Stage) -> Vec<(Option<String>, Fault)> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let seed = self.seed;
        rules
            .active
            .iter_mut()
            .filter(|active| active.rule.fault.stage() == stage)
            .filter_map(|active| {
                let about = active.rule.matching.model.clone();
                active.strikes(seed).then(|| (about, active.rule.fault.clone()))
            })
            .collect()
    }

    /// The faults that strike this call, in the order they were set.
    pub(crate) fn strike(&self, stage: Stage, call: Call<'_>) -> Vec<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let seed = self.seed;
        rules
            .active
            .iter_mut()
            .filter(|active| active.rule.fault.stage() == stage && matches(&active.rule, stage, call))
            .filter_map(|active| active.strikes(seed).then(|| active.rule.fault.clone()))
            .collect()
    }
}

impl Active {
    fn strikes(&mut self, seed: u64) -> bool {
        self.seen += 1;
        let left = match self.rule.times {
            Some(Times::Count(count)) => self.fired < count,
            Some(Times::Word(Always::Always)) => true,
            None => {
                let lasts = self.rule.matching.probability.is_some() || self.rule.fault.is_standing();
                lasts || self.fired == 0
            }
        };
        let turn = self.rule.matching.nth.is_none_or(|nth| self.seen == nth);
        let luck =
            self.rule.matching.probability.is_none_or(|chance| draw(seed, self.id, self.seen) < chance);
        let strikes = left && turn && luck;
        self.fired += u64::from(strikes);
        strikes
    }
}

fn matches(rule: &Rule, stage: Stage, call: Call<'_>) -> bool {
    let want = &rule.matching;
    let same =
        |want: &Option<String>, have: Option<&str>| want.as_deref().is_none_or(|want| have == Some(want));
    let route = stage != Stage::Http || call.route == Some(want.route.unwrap_or(Route::Create));
    let input =
        want.input_contains.as_deref().is_none_or(|text| call.input.is_some_and(|it| it.contains(text)));
    route && input && same(&want.model, call.model) && same(&want.event, call.event)
}

/// A number in 0..1 that depends on nothing but its arguments.
fn draw(seed: u64, rule: u64, call: u64) -> f64 {
    let digest = Sha256::digest(format!("{seed}/{rule}/{call}").as_bytes());
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&digest[..4]);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn with(rule: Value) -> Faults {
        let faults = Faults::new(1);
        faults.add(vec![serde_json::from_value(rule).unwrap()]);
        faults
    }

    fn create(model: &'static str) -> Call<'static> {
        Call {
            route: Some(Route::Create),
            model: Some(model),
            input: Some("{\"prompt\":\"p\"}"),
            event: None,
        }
    }

    fn strikes(faults: &Faults, stage: Stage, count: usize) -> Vec<bool> {
        (0..count).map(|_| !faults.strike(stage, create("a/b")).is_empty()).collect()
    }

    #[test]
    fn once_unless_told_otherwise() {
        let fault = json!({"kind": "throttle", "retry_after": 5});
        assert_eq!(strikes(&with(json!({"fault": fault})), Stage::Http, 3), [true, false, false]);
        let twice = with(json!({"fault": fault, "times": 2}));
        assert_eq!(strikes(&twice, Stage::Http, 3), [true, true, false]);
        let always = with(json!({"fault": fault, "times": "always"}));
        assert_eq!(strikes(&always, Stage::Http, 3), [true; 3]);
        let third = with(json!({"match": {"nth": 3}, "fault": fault}));
        assert_eq!(strikes(&third, Stage::Http, 4), [false, false, true, false]);
        let standing = with(json!({"fault": {"kind": "e6716_above", "n": 2}}));
        assert_eq!(strikes(&standing, Stage::Run, 3), [true; 3]);
    }

    #[test]
    fn only_what_matches() {
        let faults =
            with(json!({"match": {"model": "c/d"}, "fault": {"kind": "stuck_starting"}, "times": "always"}));
        assert!(faults.strike(Stage::Run, create("a/b")).is_empty());
        assert_eq!(faults.strike(Stage::Run, create("c/d")), [Fault::StuckStarting]);
        assert!(faults.strike(Stage::Http, create("c/d")).is_empty());
        let faults =
            with(json!({"match": {"input_contains": "kitchen"}, "fault": {"kind": "stuck_starting"}}));
        assert!(faults.strike(Stage::Run, create("a/b")).is_empty());
    }

    #[test]
    fn chances_are_repeatable() {
        let rule = json!({"match": {"probability": 0.5}, "fault": {"kind": "drop_response"}});
        let one = strikes(&with(rule.clone()), Stage::Http, 64);
        assert_eq!(one, strikes(&with(rule), Stage::Http, 64));
        assert!(one.contains(&true) && one.contains(&false));
    }

    #[test]
    fn unknown_words_are_refused() {
        for bad in [
            json!({"fault": {"kind": "earthquake"}}),
            json!({"fault": {"kind": "stuck_starting"}, "time": 1}),
            json!({"match": {"route": "nowhere"}, "fault": {"kind": "stuck_starting"}}),
        ] {
            assert!(serde_json::from_value::<Rule>(bad).is_err());
        }
    }
}
