//! The plan of turns against what it promises: no window holds more than the rate, nothing is wasted, everybody gets a share.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use spool_db::limits::plan::{Gate, Share, State, Turn, Waiting, plan};
use std::collections::BTreeMap;

fn at(ms: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms)
}

fn gate(step_ms: i64, tolerance_ms: i64, room: i64) -> Gate {
    let (step, tolerance) = (TimeDelta::milliseconds(step_ms), TimeDelta::milliseconds(tolerance_ms));
    Gate { next_at: at(0), step: Some(step), tolerance, room, ..Gate::open() }
}

fn state(account: Gate) -> State {
    State { account, models: BTreeMap::new(), shares: BTreeMap::new(), virtual_time: 0.0 }
}

fn line(tasks: &[(i64, &str, &str)]) -> Vec<Waiting> {
    let one = |(place, (task, share, model)): (usize, &(i64, &str, &str))| Waiting {
        task: *task,
        share: (*share).into(),
        model: (*model).into(),
        since: at(place as i64),
        cost: 100 - *task,
    };
    tasks.iter().enumerate().map(one).collect()
}

fn tasks(turns: &[Turn]) -> Vec<i64> {
    turns.iter().map(|turn| turn.task).collect()
}

/// GCRA as its definition has it: each call has a theoretical arrival time, and may come at most the tolerance before it.
fn keeps_gcra(times: &[DateTime<Utc>], step: TimeDelta, tolerance: TimeDelta) -> bool {
    let mut due = at(0);
    times.iter().all(|time| {
        let good = *time >= due - tolerance;
        due = due.max(*time) + step;
        good
    })
}

proptest! {
    /// Turns given in many rounds, by whoever, at any times: as if one had given them all.
    #[test]
    fn rounds_together_keep_the_rate_and_waste_none_of_it(
        step in 1_i64..500, tolerance in 0_i64..400, model_step in 1_i64..900,
        rounds in prop::collection::vec((0_i64..2000, 0_usize..40), 1..30),
    ) {
        let mut state = state(gate(step, tolerance, i64::MAX));
        state.models.insert("slow".into(), gate(model_step, tolerance, i64::MAX));
        let (mut now, mut number, mut waiting) = (1000, 0, Vec::new());
        let mut turns = Vec::new();
        for (pause, more) in rounds {
            now += pause;
            for _ in 0..more {
                number += 1;
                let model = if number % 3 == 0 { "slow" } else { "quick" };
                let share = format!("client {}", number % 4);
                waiting.push(Waiting { task: number, share, model: model.into(), since: at(number), cost: number });
            }
            let given = plan(&mut state, &waiting, at(now), at(now + 3000), 1000);
            waiting.retain(|one| given.iter().all(|turn| turn.task != one.task));
            prop_assert!(given.iter().all(|turn| turn.at >= at(now) && turn.at <= at(now + 3000)));
            let quick_waits = waiting.iter().any(|one| one.model == "quick");
            prop_assert!(!quick_waits || state.account.earliest(at(now)) > at(now + 3000), "a call could have been made");
            turns.extend(given);
        }
        let mut times: Vec<_> = turns.iter().map(|turn| turn.at).collect();
        prop_assert!(keeps_gcra(&times, TimeDelta::milliseconds(step), TimeDelta::milliseconds(tolerance)));
        let slow: Vec<_> = turns.iter().filter(|turn| turn.model == "slow").map(|turn| turn.at).collect();
        prop_assert!(keeps_gcra(&slow, TimeDelta::milliseconds(model_step), TimeDelta::milliseconds(tolerance)));
        // What the definition means for somebody who counts: a window of any length.
        times.sort_unstable();
        for window in [100, 1000, 10_000] {
            let most = 1 + (window + tolerance) / step;
            for (first, time) in times.iter().enumerate() {
                let end = *time + TimeDelta::milliseconds(window);
                let seen = times[first..].iter().take_while(|other| **other <= end).count();
                prop_assert!(seen as i64 <= most, "{seen} in {window} ms, {most} may be");
            }
        }
    }

    /// A client that floods gets no more than its part while others wait, and all the rest when they do not.
    #[test]
    fn a_flood_takes_only_its_part(weight in 1_u32..5, flood in 50_usize..200, few in 1_usize..20) {
        let mut tasks: Vec<(i64, &str, &str)> = (0..flood as i64).map(|task| (task, "flood", "m")).collect();
        tasks.extend((0..few as i64).map(|task| (1000 + task, "other", "m")));
        let mut state = state(gate(10, 0, i64::MAX));
        state.shares.insert("other".into(), Share { weight: weight.into(), served: 0.0 });
        let turns = plan(&mut state, &line(&tasks), at(1000), at(1_000_000), 1000);
        prop_assert_eq!(turns.len(), flood + few);
        let last = turns.iter().rposition(|turn| turn.share == "other").unwrap();
        let of_flood = turns[..last].iter().filter(|turn| turn.share == "flood").count();
        prop_assert!(of_flood <= few.div_ceil(weight as usize) + 1, "{} before the last of {}", of_flood, few);
        // Within a share the longest waiting comes first.
        let own: Vec<i64> = turns.iter().filter(|turn| turn.share == "flood").map(|turn| turn.task).collect();
        prop_assert!(own.is_sorted());
    }

    /// However much waits, no more is let into flight than there is room, in all and of a model.
    #[test]
    fn room_is_never_passed(room in 0_i64..20, of_model in 0_i64..20, count in 0_i64..60) {
        let tasks: Vec<(i64, &str, &str)> =
            (0..count).map(|task| (task, "a", if task % 2 == 0 { "tight" } else { "wide" })).collect();
        let mut state = state(gate(1, 0, room));
        state.models.insert("tight".into(), Gate { room: of_model, ..Gate::open() });
        let turns = plan(&mut state, &line(&tasks), at(0), at(100_000), 1000);
        let tight = turns.iter().filter(|turn| turn.model == "tight").count() as i64;
        prop_assert!(turns.len() as i64 <= room && tight <= of_model);
        let (tights, wides) = ((count + 1) / 2, count / 2);
        prop_assert_eq!(turns.len() as i64, room.min(wides + tights.min(of_model)), "and no less");
    }
}

#[test]
fn who_was_idle_gets_no_credit_for_it() {
    let mut state = state(gate(10, 0, i64::MAX));
    let flood: Vec<(i64, &str, &str)> = (0..50).map(|task| (task, "flood", "m")).collect();
    plan(&mut state, &line(&flood), at(0), at(1_000_000), 1000);
    let both: Vec<(i64, &str, &str)> =
        (0..10).map(|task| (task, if task < 5 { "late" } else { "flood" }, "m")).collect();
    let turns = plan(&mut state, &line(&both), at(1000), at(1_000_000), 1000);
    let late = turns.iter().take(6).filter(|turn| turn.share == "late").count();
    assert!((3..=4).contains(&late), "{late} of the first six");
}

#[test]
fn a_probe_is_the_cheapest_and_goes_alone() {
    // Later tasks are cheaper.
    let waiting = line(&[(1, "a", "sick"), (2, "a", "well"), (3, "b", "sick"), (4, "b", "well")]);
    let mut of_model = state(gate(10, 0, i64::MAX));
    of_model.models.insert("sick".into(), Gate { probing: true, ..Gate::open() });
    let turns = plan(&mut of_model, &waiting, at(0), at(1000), 100);
    let mut given = tasks(&turns);
    given.sort_unstable();
    assert_eq!(given, [2, 3, 4], "of the sick model only the cheapest");
    let mut of_account = state(Gate { probing: true, ..gate(10, 0, i64::MAX) });
    assert_eq!(tasks(&plan(&mut of_account, &waiting, at(0), at(1000), 100)), [4]);
}

#[test]
fn a_pause_moves_turns_behind_its_end_and_holds_up_its_model_only() {
    let waiting = line(&[(1, "a", "paused"), (2, "a", "well")]);
    let mut state = state(gate(10, 0, i64::MAX));
    state.models.insert("paused".into(), Gate { not_before: Some(at(500)), ..Gate::open() });
    let turns = plan(&mut state, &waiting, at(0), at(1000), 100);
    assert_eq!(turns.iter().map(|turn| (turn.task, turn.at)).collect::<Vec<_>>(), [(2, at(0)), (1, at(500))]);
}

#[test]
fn a_probe_of_the_account_is_one_that_can_go() {
    // Dearer tasks have smaller numbers here: 2 is the cheaper one.
    let mut state = state(Gate { probing: true, ..gate(10, 0, i64::MAX) });
    state.models.insert("held".into(), Gate { not_before: Some(at(86_400_000)), ..Gate::open() });
    let turns = plan(&mut state, &line(&[(1, "a", "free"), (2, "a", "held")]), at(0), at(3000), 10);
    assert_eq!(tasks(&turns), [1]);
}
