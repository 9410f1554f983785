//! Writes the ends of runs: plain ones together in one statement, those that others wait for one by one.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    bell::Bell,
    ending::{End, Ending},
    finish::{self, AgainRow, FinalRow, Written},
    id::{LeaseToken, TaskId},
    metrics,
    run::Run,
    worker::{
        core::{Backoff, Core},
        session::Sessions,
    },
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
    let reported = reported(std::slice::from_ref(&ended));
    let freed = core.freed(std::iter::once(ended.run.kind()));
    match item(ended) {
        Some(item) => write(core, vec![item], &core.handlers_own).await,
        None => core.tell(freed).await,
    }
    core.board.ended(reported);
    core.forget([token]);
}

async fn flush(core: Arc<Core>, batch: Vec<Ended>) {
    let tokens: Vec<i64> = batch.iter().map(|ended| ended.run.token().0).collect();
    let reported = reported(&batch);
    let mut items: Vec<Item> = batch.into_iter().filter_map(item).collect();
    // Rows are locked in this order, as everybody does.
    items.sort_unstable_by_key(|item| item.run.task_id());
    write(&core, items, &core.work).await;
    core.board.ended(reported);
    core.forget(tokens);
}

fn reported(batch: &[Ended]) -> Vec<(TaskId, LeaseToken)> {
    let runs = batch.iter().map(|ended| &ended.run).filter(|run| run.shared().reported());
    runs.map(|run| (run.task_id(), run.token())).collect()
}

fn item(ended: Ended) -> Option<Item> {
    let Ended { run, end } = ended;
    let ending = run.ending(end?);
    Some(Item { run, ending })
}

/// Tries until the database has taken everything, or the worker ends.
async fn write(core: &Arc<Core>, items: Vec<Item>, sessions: &Sessions) {
    let started = Instant::now();
    let mut bell = core.freed(items.iter().map(|item| item.run.kind()));
    if let Err(refusal) = write_all(core, &items, sessions, &mut bell, false).await {
        // One of them cannot be written; which, only each alone can tell.
        for item in items.into_iter().filter(|item| refusal.left.contains(&item.run.token().0)) {
            write_single(core, item, sessions, &mut bell).await;
        }
    }
    metrics::flushed(started.elapsed());
    core.tell(bell).await;
}

/// What a handler said and the database can never hold (a time out of its range) fails the task.
async fn write_single(core: &Arc<Core>, mut item: Item, sessions: &Sessions, bell: &mut Bell) {
    while let Err(Refusal { error, .. }) =
        write_all(core, std::slice::from_ref(&item), sessions, bell, true).await
    {
        let unrecordable = Ending::unrecordable(item.ending.word(), &error.to_string());
        if item.ending == unrecordable {
            tracing::error!(worker = %core.name, task = %item.run.task_id(), %error, "not even its failure can be recorded");
            return;
        }
        tracing::warn!(worker = %core.name, task = %item.run.task_id(), %error, "the outcome cannot be recorded: failed");
        item.ending = unrecordable;
    }
}

/// The database understood the write and will never take it: to try again is of no use.
struct Refusal {
    error: sqlx::Error,
    /// Tokens of what is not written.
    left: HashSet<i64>,
}

/// SQLSTATE classes: bad data, a broken constraint, a limit of the program.
fn is_refusal(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
}

async fn write_all(
    core: &Core,
    items: &[Item],
    sessions: &Sessions,
    bell: &mut Bell,
    mut doubt: bool,
) -> Result<(), Refusal> {
    let mut pending = Pending::sort(items);
    let mut backoff = Backoff::new();
    loop {
        let mut tally = Tally::default();
        let tried = pending.try_write(core, sessions, bell, &mut tally, doubt).await;
        let lost = tried.is_err() && sessions.in_transaction();
        if lost {
            pending = Pending::sort(items);
        } else {
            tally.count();
        }
        let Err(error) = tried else { return Ok(()) };
        if is_refusal(&error) {
            return Err(Refusal { error, left: pending.tokens() });
        }
        // What the database did with the lost statement is not known.
        doubt = true;
        core.failed("complete", &error);
        if core.ending.is_cancelled() {
            tracing::warn!(tasks = items.len(), "ends of runs were not recorded; the tasks will run again");
            return Ok(());
        }
        backoff.pause().await;
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

    fn tokens(&self) -> HashSet<i64> {
        let left = [&self.finals, &self.agains, &self.singles];
        left.into_iter().flatten().map(|item| item.run.token().0).collect()
    }

    async fn try_write(
        &mut self,
        core: &Core,
        sessions: &Sessions,
        bell: &mut Bell,
        tally: &mut Tally<'i>,
        doubt: bool,
    ) -> Result<(), sqlx::Error> {
        let mut session = sessions.open().await?;
        self.write(core, &mut session, bell, tally, doubt).await?;
        session.done().await
    }

    /// Each step leaves `self` with what is still to do, so that a lost connection repeats no more than one statement;
    /// what a whole transaction loses is sorted anew.
    async fn write(
        &mut self,
        core: &Core,
        conn: &mut sqlx::PgConnection,
        bell: &mut Bell,
        tally: &mut Tally<'i>,
        doubt: bool,
    ) -> Result<(), sqlx::Error> {
        if !self.finals.is_empty() {
            let rows: Vec<FinalRow<'_>> = self.finals.iter().filter_map(|item| final_row(item)).collect();
            let written: HashSet<i64> = finish::final_many(conn, &rows).await?.into_iter().collect();
            self.leave_singles(&written, true, tally);
        }
        if !self.agains.is_empty() {
            let rows: Vec<AgainRow<'_>> = self.agains.iter().filter_map(|item| again_row(item)).collect();
            let written = finish::again_many(conn, &rows).await?;
            bell.merge(Bell::of(written.iter().filter_map(|(_, ring)| ring.clone())));
            let written = written.into_iter().map(|(TaskId(id), _)| id).collect();
            self.leave_singles(&written, false, tally);
        }
        while let Some(&item) = self.singles.last() {
            single(core, conn, item, bell, tally, doubt).await?;
            self.singles.pop();
        }
        Ok(())
    }

    fn leave_singles(&mut self, written: &HashSet<i64>, finals: bool, tally: &mut Tally<'i>) {
        let items = std::mem::take(if finals { &mut self.finals } else { &mut self.agains });
        for item in items {
            if written.contains(&item.run.task_id().0) {
                tally.add(item);
            } else {
                self.singles.push(item);
            }
        }
    }
}

/// What batches cannot do: it has children, was asked to stop, or is stale.
async fn single<'i>(
    core: &Core,
    conn: &mut sqlx::PgConnection,
    item: &'i Item,
    bell: &mut Bell,
    tally: &mut Tally<'i>,
    doubt: bool,
) -> Result<(), sqlx::Error> {
    let fence = item.run.fence();
    if let Written::Yes(ring) = finish::one(conn, fence, &item.ending).await? {
        tally.add(item);
        bell.merge(Bell::of(ring));
        return Ok(());
    }
    if item.run.shared().wrote_itself() {
        return Ok(());
    }
    if doubt && finish::already_written(conn, fence).await? {
        tally.add(item);
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

/// What was written and is not counted yet: in a transaction it is not so before the commit.
#[derive(Default)]
struct Tally<'i>(HashMap<(&'i str, &'static str), u64>);

impl<'i> Tally<'i> {
    fn add(&mut self, item: &'i Item) {
        *self.0.entry((item.run.kind(), item.ending.word())).or_default() += 1;
    }

    fn count(self) {
        for ((kind, outcome), tasks) in self.0 {
            metrics::ended(kind, outcome, tasks);
        }
    }
}
