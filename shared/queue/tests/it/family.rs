//! Parents: their outputs, and what becomes of a child by how many of them fail.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use spool_queue::{
    Batch, Done, Failure, OnFailure, Outcome, Parent, TaskId, TaskState, control, control::Reach, inspect,
};
use sqlx::PgPool;

use crate::harness::{Step, act, quick, step, view};

/// What children found, by their payload.
type Found = Arc<Mutex<Vec<(Value, Vec<Parent>)>>>;

/// Fails if the payload says so, else leaves its payload as output and notes what it finds.
fn curious(found: &Found) -> Step {
    let found = found.clone();
    Step(act(move |payload, run| {
        let found = found.clone();
        async move {
            let parents = run.parents().await?;
            found.lock().unwrap().push((payload.clone(), parents));
            if payload == json!("fail") {
                return Err(Failure::fail("told", "told to fail"));
            }
            Done::output(&payload)
        }
    }))
}

fn parents_of(found: &Found, payload: &Value) -> Vec<Parent> {
    let found = found.lock().unwrap();
    found.iter().find(|(name, _)| name == payload).map(|(_, parents)| parents.clone()).unwrap()
}

fn seen(parents: &[Parent]) -> Vec<(TaskId, TaskState, Option<Value>)> {
    parents.iter().map(|parent| (parent.id, parent.state, parent.output.clone())).collect()
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_child_reads_what_its_parents_left(pool: PgPool) {
    let found = Found::default();
    let mut batch = Batch::new();
    let earlier = batch.add(step(json!({"n": 1})));
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let earlier = made.id(earlier);
    quick("w", &pool).handler(curious(&found)).drain().await.unwrap();
    let mut batch = Batch::new();
    let child = batch.add(step(json!("child")));
    let failed = batch.add(step(json!("fail")));
    let good = batch.add(step(json!({"n": 2})));
    batch.after(child, failed, OnFailure::Run);
    batch.after(child, good, OnFailure::Cancel);
    batch.after_existing(child, earlier, OnFailure::Cancel);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let (child, failed, good) = (made.id(child), made.id(failed), made.id(good));
    assert_eq!(view(&pool, child).await.parents, [failed, good, earlier]);
    quick("w", &pool).handler(curious(&found)).drain().await.unwrap();
    let parents = parents_of(&found, &json!("child"));
    assert_eq!(
        seen(&parents),
        [
            (failed, TaskState::Failed, None),
            (good, TaskState::Succeeded, Some(json!({"n": 2}))),
            (earlier, TaskState::Succeeded, Some(json!({"n": 1}))),
        ]
    );
    assert_eq!(parents[1].kind, "step");
    assert_eq!(parents[1].output::<std::collections::BTreeMap<String, u8>>().unwrap().unwrap()["n"], 2);
    assert!(parents[1].output::<u8>().is_err());
    assert_eq!(parents[0].output::<u8>().unwrap(), None);
    // The history knows them too.
    assert_eq!(view(&pool, child).await.parents, [failed, good, earlier]);
    assert!(parents_of(&found, &json!({"n": 1})).is_empty());
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn stand_ins_and_added_children_are_family(pool: PgPool) {
    let found = Found::default();
    let note = found.clone();
    let split = Step(act(move |payload, run| {
        let note = note.clone();
        async move {
            let parents = run.parents().await?;
            note.lock().unwrap().push((payload.clone(), parents));
            if payload != json!("split") {
                return Done::output(&payload);
            }
            let mut tx = run.pool().begin().await?;
            let mut batch = Batch::new();
            for n in 0..2 {
                let part = batch.add(step(json!(n)));
                batch.in_place_of(part, run.task_id());
            }
            let mut made = batch.insert(&mut tx).await?;
            let mut batch = Batch::new();
            let own = batch.add(step(json!("own child")));
            batch.after_existing(own, run.task_id(), OnFailure::Cancel);
            made.bell.merge(batch.insert(&mut tx).await?.bell);
            Ok(run.commit_with(tx, Outcome::Done(json!("parted")), made.bell).await?)
        }
    }));
    let mut batch = Batch::new();
    let parent = batch.add(step(json!("split")));
    let child = batch.add(step(json!("child")));
    batch.after(child, parent, OnFailure::Cancel);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let parent = made.id(parent);
    quick("w", &pool).handler(split).drain().await.unwrap();
    let outputs = |payload: &str| -> Vec<Option<Value>> {
        parents_of(&found, &json!(payload)).into_iter().map(|parent| parent.output).collect()
    };
    assert_eq!(outputs("child"), [Some(json!("parted")), Some(json!(0)), Some(json!(1))]);
    assert_eq!(outputs("own child"), [Some(json!("parted"))]);
    assert_eq!(parents_of(&found, &json!("child"))[0].id, parent);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn two_slots_of_one_task_are_one_parent(pool: PgPool) {
    let mut batch = Batch::new();
    let first = batch.add(step(json!("fail")).unique_key("k"));
    let same = batch.add(step(json!("fail")).unique_key("k"));
    let good = batch.add(step(json!(1)));
    let child = batch.add(step(json!("child")));
    for parent in [first, same, good] {
        batch.after(child, parent, OnFailure::Count);
    }
    batch.at_least(child, 1);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    let child = made.id(child);
    assert_eq!(view(&pool, child).await.parents, [made.id(first), made.id(good)]);
    quick("w", &pool).handler(curious(&Found::default())).drain().await.unwrap();
    assert_eq!(view(&pool, child).await.state, TaskState::Succeeded);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn too_many_failures_cancel_at_once_and_enough_successes_wait_for_the_rest(pool: PgPool) {
    let mut batch = Batch::new();
    let failing: Vec<_> = (0..2).map(|_| batch.add(step(json!("fail")))).collect();
    let later = batch.add(step(json!(1)).delay(std::time::Duration::from_secs(3600)));
    let (strict, lenient) = (batch.add(step(json!(2))), batch.add(step(json!(3))));
    for child in [strict, lenient] {
        for parent in [failing[0], failing[1], later] {
            batch.after(child, parent, OnFailure::Count);
        }
    }
    batch.at_least(strict, 2);
    batch.at_least(lenient, 1);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    quick("w", &pool).handler(curious(&Found::default())).drain().await.unwrap();
    assert_eq!(view(&pool, made.id(strict)).await.state, TaskState::Canceled);
    let lenient = view(&pool, made.id(lenient)).await;
    assert_eq!((lenient.state, lenient.waits_for), (TaskState::Blocked, vec![made.id(later)]));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_stand_in_for_a_counted_parent_uses_no_spare(pool: PgPool) {
    let split = Step(act(move |payload, run| async move {
        match payload.as_str() {
            Some("split") => {
                let mut tx = run.pool().begin().await?;
                let mut batch = Batch::new();
                let part = batch.add(step(json!("fail")));
                batch.in_place_of(part, run.task_id());
                let made = batch.insert(&mut tx).await?;
                Ok(run.commit_with(tx, Outcome::done(), made.bell).await?)
            }
            Some("fail") => Err(Failure::fail("told", "told to fail")),
            _ => Ok(Done::nothing()),
        }
    }));
    let mut batch = Batch::new();
    let (one, two) = (batch.add(step(json!("split"))), batch.add(step(json!("good"))));
    let (all, some) = (batch.add(step(json!("all"))), batch.add(step(json!("some"))));
    for child in [all, some] {
        batch.after(child, one, OnFailure::Count);
        batch.after(child, two, OnFailure::Count);
    }
    batch.at_least(some, 1);
    let made = batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap();
    quick("w", &pool).handler(split).drain().await.unwrap();
    assert_eq!(view(&pool, made.id(all)).await.state, TaskState::Canceled);
    assert_eq!(view(&pool, made.id(some)).await.state, TaskState::Succeeded);
}

/// A graph whose edges point from later tasks to earlier ones, and which of its tasks fail.
#[derive(Debug, Clone)]
struct Case {
    nodes: Vec<Node>,
    /// Which of the failed ones is healed and retried.
    pick: prop::sample::Index,
}

#[derive(Debug, Clone)]
struct Node {
    parents: Vec<(usize, OnFailure)>,
    need: Option<u32>,
    fails: bool,
}

fn any_case() -> impl Strategy<Value = Case> {
    let rule = prop_oneof![
        3 => Just(None),
        2 => Just(Some(OnFailure::Cancel)),
        1 => Just(Some(OnFailure::Run)),
        3 => Just(Some(OnFailure::Count)),
    ];
    let parts =
        (prop::collection::vec(rule, 7), prop::option::weighted(0.8, 0u32..4), prop::bool::weighted(0.4));
    let node = parts.prop_map(|(rules, need, fails)| {
        let parents =
            rules.into_iter().enumerate().filter_map(|(parent, rule)| Some((parent, rule?))).collect();
        Node { parents, need, fails }
    });
    (prop::collection::vec(node, 2..8), any::<prop::sample::Index>()).prop_map(|(mut nodes, pick)| {
        for (at, node) in nodes.iter_mut().enumerate() {
            node.parents.retain(|(parent, _)| *parent < at);
        }
        Case { nodes, pick }
    })
}

impl Case {
    /// How a task ends if its parents ended so: the rules, said once more and simply.
    fn end(&self, at: usize, ends: &[TaskState], fails: bool) -> TaskState {
        let node = &self.nodes[at];
        let bad = |rule| {
            let of_rule = node.parents.iter().filter(|(_, other)| *other == rule);
            of_rule.filter(|(parent, _)| ends[*parent] != TaskState::Succeeded).count()
        };
        let counted = node.parents.iter().filter(|(_, rule)| *rule == OnFailure::Count).count();
        let need = node.need.map_or(counted, |need| counted.min(need as usize));
        if bad(OnFailure::Cancel) > 0 || counted - bad(OnFailure::Count) < need {
            TaskState::Canceled
        } else if fails {
            TaskState::Failed
        } else {
            TaskState::Succeeded
        }
    }

    fn first_ends(&self) -> Vec<TaskState> {
        let mut ends = Vec::new();
        for at in 0..self.nodes.len() {
            ends.push(self.end(at, &ends, self.nodes[at].fails));
        }
        ends
    }

    /// The task that is retried, if any failed.
    fn root(&self, ends: &[TaskState]) -> Option<usize> {
        let failed: Vec<usize> = (0..ends.len()).filter(|&at| ends[at] == TaskState::Failed).collect();
        (!failed.is_empty()).then(|| *self.pick.get(&failed))
    }

    /// What ran stays as it ended; what was canceled has its chance again.
    fn ends_after_retry(&self, before: &[TaskState], root: usize) -> Vec<TaskState> {
        let mut ends = Vec::new();
        for (at, &before) in before.iter().enumerate() {
            ends.push(match before {
                _ if at == root => TaskState::Succeeded,
                TaskState::Canceled => self.end(at, &ends, self.nodes[at].fails),
                ran => ran,
            });
        }
        ends
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn random_graphs_end_as_the_model_says_also_after_a_retry(pool: PgPool) {
    let mut runner = TestRunner::deterministic();
    let cases: Vec<Case> = (0..120).map(|_| any_case().new_tree(&mut runner).unwrap().current()).collect();
    let failing: Arc<Mutex<HashSet<(usize, usize)>>> = Arc::default();
    let mut graphs = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let mut batch = Batch::new();
        let slots: Vec<_> = (0..case.nodes.len()).map(|at| batch.add(step(json!([number, at])))).collect();
        for (at, node) in case.nodes.iter().enumerate() {
            for &(parent, rule) in &node.parents {
                batch.after(slots[at], slots[parent], rule);
            }
            if let Some(need) = node.need {
                batch.at_least(slots[at], need);
            }
            if node.fails {
                failing.lock().unwrap().insert((number, at));
            }
        }
        graphs.push(batch.insert(&mut pool.acquire().await.unwrap()).await.unwrap().ids);
    }
    let obedient = || {
        let failing = failing.clone();
        Step(act(move |payload, _| {
            let at: (usize, usize) = serde_json::from_value(payload).unwrap();
            let fails = failing.lock().unwrap().contains(&at);
            async move { if fails { Err(Failure::fail("told", "told to")) } else { Ok(Done::nothing()) } }
        }))
    };
    quick("w", &pool).slots("main", 16).handler(obedient()).drain().await.unwrap();
    let before: Vec<Vec<TaskState>> = cases.iter().map(Case::first_ends).collect();
    compare(&pool, &cases, &graphs, &before).await;
    let mut after = before.clone();
    for (number, case) in cases.iter().enumerate() {
        let Some(root) = case.root(&before[number]) else { continue };
        failing.lock().unwrap().remove(&(number, root));
        after[number] = case.ends_after_retry(&before[number], root);
        let mut conn = pool.acquire().await.unwrap();
        let retried = control::retry(&mut conn, graphs[number][root], Reach::Downstream).await.unwrap();
        retried.bell.ring(&pool).await;
    }
    assert_ne!(before, after);
    quick("w", &pool).slots("main", 16).handler(obedient()).drain().await.unwrap();
    compare(&pool, &cases, &graphs, &after).await;
    let left = sqlx::query_scalar!(
        r#"select (select count(*) from queue.task) + (select count(*) from queue.edge) as "n!""#
    );
    assert_eq!(left.fetch_one(&pool).await.unwrap(), 0);
}

async fn compare(pool: &PgPool, cases: &[Case], graphs: &[Vec<TaskId>], ends: &[Vec<TaskState>]) {
    let mut conn = pool.acquire().await.unwrap();
    for ((case, ids), ends) in cases.iter().zip(graphs).zip(ends) {
        let mut found = Vec::new();
        for &id in ids {
            found.push(inspect::task(&mut conn, id).await.unwrap().unwrap().state);
        }
        assert_eq!(&found, ends, "{case:?}");
    }
}
