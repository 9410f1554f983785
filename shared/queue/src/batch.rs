//! Tasks that are enqueued together, and what waits for what among them.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::{bell::Bell, error::EnqueueError, id::TaskId, insert, task::NewTask};

/// What happens to a waiting task when the one it waits for fails or is canceled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It is canceled too, and so on down the line.
    Cancel,
    /// It runs anyway.
    Run,
    /// The failure is counted: see [`Batch::at_least`].
    Count,
}

impl OnFailure {
    /// The number in the database.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::Cancel => 0,
            Self::Run => 1,
            Self::Count => 2,
        }
    }
}

/// A task of a batch, before it has a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(usize);

impl Slot {
    pub(crate) const fn at(index: usize) -> Self {
        Self(index)
    }

    /// Its place in [`Enqueued::ids`].
    pub const fn index(self) -> usize {
        self.0
    }
}

/// Tasks that are enqueued together, in the caller's transaction: all or none. Thousands go in one call.
///
/// ```
/// # use spool_queue::{Batch, EnqueueError, Enqueued, NewTask, OnFailure};
/// # async fn example(conn: &mut sqlx::PgConnection) -> Result<Enqueued, EnqueueError> {
/// let mut batch = Batch::new();
/// let film = batch.add(NewTask::new("join", "cpu", 1, &"film"));
/// for scene in 1..=3 {
///     let scene = batch.add(NewTask::new("render", "light", 1, &scene));
///     batch.after(film, scene, OnFailure::Cancel);
/// }
/// let made = batch.insert(conn).await?;
/// println!("the film is task {}", made.id(film));
/// # Ok(made)
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "a batch does nothing until it is inserted"]
pub struct Batch {
    pub(crate) tasks: Vec<NewTask>,
    inner: BTreeMap<(usize, usize), OnFailure>,
    outer: BTreeMap<(TaskId, usize), OnFailure>,
    needs: BTreeMap<usize, u32>,
    pub(crate) stand_ins: Vec<(usize, TaskId)>,
}

/// What a batch became.
#[derive(Debug)]
#[must_use = "ring its bell after the commit, or the tasks wait for the next poll"]
pub struct Enqueued {
    /// The task of each slot, in the order of `add`. For a task whose unique key was taken it is the one that had it.
    pub ids: Vec<TaskId>,
    /// Slots whose unique key was taken: nothing was enqueued for them, and the task that has it is as it was.
    pub existing: Vec<Slot>,
    /// Slots whose unique key was taken by a task that had not begun: it has their payload now. See [`Conflict::Replace`](crate::Conflict::Replace).
    pub replaced: Vec<Slot>,
    /// To be rung after the caller's commit.
    pub bell: Bell,
}

impl Enqueued {
    /// All of them new, nobody to tell.
    pub(crate) const fn new(ids: Vec<TaskId>) -> Self {
        Self { ids, existing: Vec::new(), replaced: Vec::new(), bell: Bell::silent() }
    }

    /// The task of a slot.
    pub fn id(&self, slot: Slot) -> TaskId {
        self.ids[slot.0]
    }
}

impl Batch {
    /// An empty batch.
    pub const fn new() -> Self {
        Self {
            tasks: Vec::new(),
            inner: BTreeMap::new(),
            outer: BTreeMap::new(),
            needs: BTreeMap::new(),
            stand_ins: Vec::new(),
        }
    }

    /// Adds a task.
    pub fn add(&mut self, task: NewTask) -> Slot {
        self.tasks.push(task);
        Slot(self.tasks.len() - 1)
    }

    /// `child` starts only when `parent` has ended, and has succeeded unless `on_failure` says otherwise. Said twice, the
    /// strictest wins: `Cancel`, then `Count`, then `Run`.
    pub fn after(&mut self, child: Slot, parent: Slot, on_failure: OnFailure) {
        merge(self.inner.entry((parent.0, child.0)).or_insert(on_failure), on_failure);
    }

    /// The same for a parent that is in the queue already, or has ended.
    pub fn after_existing(&mut self, child: Slot, parent: TaskId, on_failure: OnFailure) {
        merge(self.outer.entry((parent, child.0)).or_insert(on_failure), on_failure);
    }

    /// `child` needs at least `successes` of the parents that it was given with [`OnFailure::Count`]; of all of them if this is
    /// not said or is more than there are.
    ///
    /// It starts when all its parents have ended, so that it finds every output that there will be. It is canceled as soon as so
    /// many have failed that `successes` cannot be reached.
    ///
    /// ```
    /// # use spool_queue::{Batch, NewTask, OnFailure};
    /// let mut batch = Batch::new();
    /// let vote = batch.add(NewTask::new("vote", "main", 1, &()));
    /// for judge in 0..3 {
    ///     let opinion = batch.add(NewTask::new("opinion", "main", 1, &judge));
    ///     batch.after(vote, opinion, OnFailure::Count);
    /// }
    /// batch.at_least(vote, 2);
    /// ```
    pub fn at_least(&mut self, child: Slot, successes: u32) {
        self.needs.insert(child.0, successes);
    }

    /// Everything that waits for the existing task `old` now also waits for `child`, by the same rules: how a running task
    /// hands its place in the DAG on to a task that it adds. What stands in for a counted parent is counted too, and as many
    /// may fail as before.
    pub fn in_place_of(&mut self, child: Slot, old: TaskId) {
        self.stand_ins.push((child.0, old));
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Enqueues everything in the caller's transaction. The caller commits, then rings the bell. Where there is no transaction it is
    /// one of its own, so that nobody ever sees half of a batch.
    ///
    /// # Errors
    /// See [`EnqueueError`]; the transaction must then be rolled back.
    pub async fn insert(self, conn: &mut PgConnection) -> Result<Enqueued, EnqueueError> {
        insert::batch(conn, self).await
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.inner.is_empty() && self.outer.is_empty() && self.stand_ins.is_empty()
    }

    pub(crate) fn graph(&self) -> Result<Graph, EnqueueError> {
        let mut graph = Graph {
            waits: vec![0; self.tasks.len()],
            is_parent: vec![false; self.tasks.len()],
            edges: Vec::with_capacity(self.inner.len() + self.outer.len()),
            needs: self.needs.clone(),
        };
        for (&(parent, child), &on_failure) in &self.inner {
            graph.waits[child] += 1;
            graph.is_parent[parent] = true;
            graph.edges.push(Edge { parent: Parent::Slot(parent), child, on_failure });
        }
        if has_cycle(self.tasks.len(), self.inner.keys().copied()) {
            return Err(EnqueueError::Cycle);
        }
        for (&(parent, child), &on_failure) in &self.outer {
            graph.waits[child] += 1;
            graph.edges.push(Edge { parent: Parent::Existing(parent), child, on_failure });
        }
        Ok(graph)
    }
}

#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) waits: Vec<i32>,
    pub(crate) is_parent: Vec<bool>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) needs: BTreeMap<usize, u32>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    pub(crate) parent: Parent,
    pub(crate) child: usize,
    pub(crate) on_failure: OnFailure,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Parent {
    Slot(usize),
    Existing(TaskId),
}

fn merge(kept: &mut OnFailure, said: OnFailure) {
    let strictness = |rule| match rule {
        OnFailure::Run => 0,
        OnFailure::Count => 1,
        OnFailure::Cancel => 2,
    };
    if strictness(said) > strictness(*kept) {
        *kept = said;
    }
}

/// Removes tasks that wait for nothing until none is left; what stays waits in a circle.
pub(crate) fn has_cycle(nodes: usize, edges: impl Iterator<Item = (usize, usize)>) -> bool {
    let mut waits = vec![0_usize; nodes];
    let mut children = vec![Vec::new(); nodes];
    for (parent, child) in edges {
        waits[child] += 1;
        children[parent].push(child);
    }
    let mut free: Vec<usize> = (0..nodes).filter(|&node| waits[node] == 0).collect();
    let mut seen = 0;
    while let Some(node) = free.pop() {
        seen += 1;
        for &child in &children[node] {
            waits[child] -= 1;
            if waits[child] == 0 {
                free.push(child);
            }
        }
    }
    seen != nodes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch_of(n: usize) -> (Batch, Vec<Slot>) {
        let mut batch = Batch::new();
        let slots = (0..n).map(|_| batch.add(NewTask::new("kind", "queue", 1, &()))).collect();
        (batch, slots)
    }

    #[test]
    fn the_same_edge_counts_once_and_cancel_wins() {
        let (mut batch, slots) = batch_of(2);
        batch.after(slots[1], slots[0], OnFailure::Run);
        batch.after(slots[1], slots[0], OnFailure::Count);
        assert_eq!(batch.graph().unwrap().edges[0].on_failure, OnFailure::Count);
        batch.after(slots[1], slots[0], OnFailure::Cancel);
        let graph = batch.graph().unwrap();
        assert_eq!(graph.waits, [0, 1]);
        assert_eq!(graph.is_parent, [true, false]);
        assert_eq!(graph.edges[0].on_failure, OnFailure::Cancel);
    }

    #[test]
    fn a_circle_is_refused() {
        let (mut batch, slots) = batch_of(3);
        batch.after(slots[1], slots[0], OnFailure::Run);
        batch.after(slots[2], slots[1], OnFailure::Run);
        assert!(batch.graph().is_ok());
        batch.after(slots[0], slots[2], OnFailure::Run);
        assert!(matches!(batch.graph(), Err(EnqueueError::Cycle)));
    }

    proptest! {
        #[test]
        fn edges_that_point_forward_are_no_circle(edges in proptest::collection::vec((0usize..20, 0usize..20), 0..60)) {
            let (mut batch, slots) = batch_of(20);
            for (a, b) in edges.into_iter().filter(|(a, b)| a != b) {
                batch.after(slots[a.max(b)], slots[a.min(b)], OnFailure::Cancel);
            }
            let graph = batch.graph().unwrap();
            prop_assert_eq!(graph.waits.iter().sum::<i32>() as usize, graph.edges.len());
        }
    }
}
