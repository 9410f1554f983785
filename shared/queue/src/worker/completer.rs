//! Writes the ends of runs: plain ones together in one statement, those that others wait for one by one.

use std::{collections::HashSet, sync::Arc, time::Instant};

use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    bell::Bell,
    ending::{End, Ending},
    finish::{self, AgainRow, FinalRow, Written},
    id::TaskId,
    metrics,
    run::Run,
    worker::core::{Backoff, Core},
};

/// More than this in one statement gains nothing.
const LARGEST: usize = 500;
/// Statements at the same time.
const FLUSHERS: usize = 2;

/// A run that has ended, before that is written. Without an end there is nothing to write.
pub(crate) struct Ended {
    pub(crate) run: Run,
    pub(crate) end: Option<End>,
}

struct Item {
    run: Run,
    ending: Ending,
}

/// Ends when all senders are gone and everything is written.
pub(crate) async fn run(core: Arc<Core>, mut ended: mpsc::Receiver<Ended>) {
    let mut flushes = JoinSet::new();
    let mut buffer = Vec::with_capacity(LARGEST);
    loop {
        // While all flushers are busy, ends pile up and go together.
        while flushes.len() >= FLUSHERS {
            flushes.join_next().await;
        }
        if ended.recv_many(&mut buffer, LARGEST).await == 0 {
            break;
        }
        let batch = std::mem::replace(&mut buffer, Vec::with_capacity(LARGEST));
        flushes.spawn(flush(Arc::clone(&core), batch));
    }
    while flushes.join_next().await.is_some() {}
}

/// Writes one end at once, on a connection of the handlers' pool.
pub(crate) async fn alone(core: &Arc<Core>, ended: Ended) {
    let token = ended.run.token().0;
    if let Some(item) = item(ended) {
        let items = [item];
        write(core, &items, true).await;
    }
    core.forget([token]);
}

async fn flush(core: Arc<Core>, batch: Vec<Ended>) {
    let tokens: Vec<i64> = batch.iter().map(|ended| ended.run.token().0).collect();
    let mut items: Vec<Item> = batch.into_iter().filter_map(item).collect();
    // Rows are locked in this order, as everybody does.
    items.sort_unstable_by_key(|item| item.run.task_id());
    write(&core, &items, false).await;
    core.forget(tokens);
}

fn item(ended: Ended) -> Option<Item> {
    let Ended { run, end } = ended;
    let ending = run.ending(end?);
    Some(Item { run, ending })
}

/// Tries until the database has taken everything, or the worker ends.
async fn write(core: &Arc<Core>, items: &[Item], alone: bool) {
    let started = Instant::now();
    let mut pending = Pending::sort(items);
    let mut backoff = Backoff::new();
    let mut bell = Bell::silent();
    let mut doubt = false;
    while !pending.is_empty() {
        let tried = if alone {
            match core.pool.acquire().await {
                Ok(mut connection) => pending.write(core, &mut connection, &mut bell, doubt).await,
                Err(error) => Err(error),
            }
        } else {
            match core.work.open().await {
                Ok(mut session) => match pending.write(core, &mut session, &mut bell, doubt).await {
                    Ok(()) => session.done().await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            }
        };
        let Err(error) = tried else { break };
        // What the database did with the lost statement is not known.
        doubt = true;
        core.failed("complete", &error);
        if core.ending.is_cancelled() {
            tracing::warn!(tasks = items.len(), "ends of runs were not recorded; the tasks will run again");
            return;
        }
        backoff.pause().await;
    }
    metrics::flushed(started.elapsed());
    if !bell.is_silent() {
        for lane in &core.lanes {
            if bell.names(&lane.queue) {
                lane.wake.notify_one();
            }
        }
        bell.ring(core.work.pool()).await;
    }
}

struct Pending<'i> {
    finals: Vec<&'i Item>,
    agains: Vec<&'i Item>,
    singles: Vec<&'i Item>,
}

impl<'i> Pending<'i> {
    fn sort(items: &'i [Item]) -> Self {
        let mut pending = Self { finals: Vec::new(), agains: Vec::new(), singles: Vec::new() };
        for item in items {
            match &item.ending {
                Ending::Final { .. } if item.run.has_children() => pending.singles.push(item),
                Ending::Final { .. } => pending.finals.push(item),
                Ending::Again(_) => pending.agains.push(item),
            }
        }
        pending
    }

    fn is_empty(&self) -> bool {
        self.finals.is_empty() && self.agains.is_empty() && self.singles.is_empty()
    }

    /// Each step leaves `self` with what is still to do, so that a lost connection repeats no more than one statement.
    async fn write(
        &mut self,
        core: &Core,
        conn: &mut sqlx::PgConnection,
        bell: &mut Bell,
        doubt: bool,
    ) -> Result<(), sqlx::Error> {
        if !self.finals.is_empty() {
            let rows: Vec<FinalRow<'_>> = self.finals.iter().filter_map(|item| final_row(item)).collect();
            let written: HashSet<i64> = finish::final_many(conn, &rows).await?.into_iter().collect();
            self.leave_singles(&written, true);
        }
        if !self.agains.is_empty() {
            let rows: Vec<AgainRow<'_>> = self.agains.iter().filter_map(|item| again_row(item)).collect();
            let written = finish::again_many(conn, &rows).await?;
            bell.merge(Bell::of(written.iter().filter_map(|(_, ring)| ring.clone())));
            let written = written.into_iter().map(|(TaskId(id), _)| id).collect();
            self.leave_singles(&written, false);
        }
        while let Some(&item) = self.singles.last() {
            single(core, conn, item, bell, doubt).await?;
            self.singles.pop();
        }
        Ok(())
    }

    fn leave_singles(&mut self, written: &HashSet<i64>, finals: bool) {
        let items = std::mem::take(if finals { &mut self.finals } else { &mut self.agains });
        count(items.iter().filter(|item| written.contains(&item.run.task_id().0)));
        self.singles.extend(items.into_iter().filter(|item| !written.contains(&item.run.task_id().0)));
    }
}

/// What batches cannot do: it has children, was asked to stop, or is stale.
async fn single(
    core: &Core,
    conn: &mut sqlx::PgConnection,
    item: &Item,
    bell: &mut Bell,
    doubt: bool,
) -> Result<(), sqlx::Error> {
    let fence = item.run.fence();
    if let Written::Yes(ring) = finish::one(conn, fence, &item.ending).await? {
        count(std::iter::once(&item));
        bell.merge(Bell::of(ring));
        return Ok(());
    }
    if item.run.shared().wrote_itself() {
        return Ok(());
    }
    if doubt && finish::already_written(conn, fence).await? {
        count(std::iter::once(&item));
        return Ok(());
    }
    metrics::refused(item.run.kind());
    tracing::warn!(worker = %core.name, task = %fence.task, token = %fence.token, outcome = item.ending.word(), "a late outcome was refused: the lease was lost");
    finish::refused(conn, fence, item.ending.word()).await
}

fn final_row(item: &Item) -> Option<FinalRow<'_>> {
    let Ending::Final { state, output, class, error, why } = &item.ending else { return None };
    Some(FinalRow {
        fence: item.run.fence(),
        state: *state,
        output: output.as_deref(),
        class: class.as_deref(),
        error: error.as_deref(),
        why: why.as_deref(),
    })
}

fn again_row(item: &Item) -> Option<AgainRow<'_>> {
    let Ending::Again(again) = &item.ending else { return None };
    Some(AgainRow { fence: item.run.fence(), again })
}

fn count<'i>(items: impl Iterator<Item = &'i &'i Item>) {
    let mut items = items.peekable();
    while let Some(first) = items.next() {
        let mut same = 1;
        while items
            .next_if(|item| item.run.kind() == first.run.kind() && item.ending.word() == first.ending.word())
            .is_some()
        {
            same += 1;
        }
        metrics::ended(first.run.kind(), first.ending.word(), same);
    }
}
