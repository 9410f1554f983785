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
pub(crate) const FLUSHERS: u32 = 3;

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
        while flushes.len() >= FLUSHERS as usize {
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
            tracing::error!(worker = %core.name, task_id = item.run.task_id().0, %error, "not even its failure can be recorded");
            return;
        }
        tracing::warn!(worker = %core.name, task_id = item.run.task_id().0, %error, "the outcome cannot be recorded: failed");
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
        let Err(error) = pending.try_write(core, sessions, bell, doubt).await else { return Ok(()) };
        if is_refusal(&error) {
            return Err(Refusal { error, left: pending.tokens() });
        }
        if is_lock_timeout(&error) {
            // Nothing was written, that is certain. One at a time they hold nothing that others wait for.
            pending.part();
        } else {
            // What the database did with the lost statement is not known.
            doubt = true;
            core.failed("complete", &error);
        }
        if core.ending.is_cancelled() {
            tracing::warn!(count = items.len(), "ends of runs were not recorded; the tasks will run again");
            return Ok(());
        }
        backoff.pause().await;
    }
}

/// Somebody holds one of the rows for long, or waits for another one of them.
fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("55P03")
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

    /// Nothing goes together any more; what could not be written goes last.
    fn part(&mut self) {
        let singles = std::mem::take(&mut self.singles);
        self.singles.extend(singles.into_iter().rev());
        self.singles.append(&mut self.finals);
        self.singles.append(&mut self.agains);
    }

    /// Each step is a transaction of its own: locks of one are not held while the next waits. It leaves `self` with what is
    /// still to do, so that a lost connection repeats no more than one step.
    async fn try_write(
        &mut self,
        core: &Core,
        sessions: &Sessions,
        bell: &mut Bell,
        doubt: bool,
    ) -> Result<(), sqlx::Error> {
        if !self.finals.is_empty() {
            let rows: Vec<FinalRow<'_>> = self.finals.iter().filter_map(|item| final_row(item)).collect();
            let mut session = sessions.open_to_write().await?;
            let answer = tokio::time::timeout(core.lease, finish::final_many(&mut session, &rows)).await;
            let written = sessions.close(session, answer, core.lease).await?;
            let written = written.into_iter().collect();
            Self::count(std::mem::take(&mut self.finals), &written, &mut self.singles);
        }
        if !self.agains.is_empty() {
            let rows: Vec<AgainRow<'_>> = self.agains.iter().filter_map(|item| again_row(item)).collect();
            let mut session = sessions.open_to_write().await?;
            let answer = tokio::time::timeout(core.lease, finish::again_many(&mut session, &rows)).await;
            let written = sessions.close(session, answer, core.lease).await?;
            bell.merge(Bell::of(written.iter().filter_map(|(_, ring)| ring.clone())));
            let written = written.into_iter().map(|(TaskId(id), _)| id).collect();
            Self::count(std::mem::take(&mut self.agains), &written, &mut self.singles);
        }
        while let Some(&item) = self.singles.last() {
            let mut session = sessions.open_to_write().await?;
            let answer = tokio::time::timeout(core.lease, single(&mut session, item, doubt)).await;
            let single = sessions.close(session, answer, core.lease).await?;
            bell.merge(single.told(core, item));
            self.singles.pop();
        }
        Ok(())
    }

    /// Counts what is written; the rest needs to be looked at one by one.
    fn count(items: Vec<&'i Item>, written: &HashSet<i64>, singles: &mut Vec<&'i Item>) {
        let mut tally: HashMap<(&str, &'static str), u64> = HashMap::new();
        for item in items {
            if written.contains(&item.run.task_id().0) {
                *tally.entry((item.run.kind(), item.ending.word())).or_default() += 1;
            } else {
                singles.push(item);
            }
        }
        for ((kind, outcome), tasks) in tally {
            metrics::ended(kind, outcome, tasks);
        }
    }
}

/// What became of an end that was written alone.
enum Single {
    /// By this write, or by an earlier one whose answer was lost.
    Written(Vec<String>),
    /// By the handler, who knows.
    NotOurs,
    /// By the handler, whose commit did not answer.
    HandlersAfterAll(&'static str),
    Refused,
}

impl Single {
    /// Counts it, and gives what is to be rung.
    fn told(self, core: &Core, item: &Item) -> Bell {
        let (kind, word) = (item.run.kind(), item.ending.word());
        match self {
            Self::Written(ring) => {
                metrics::ended(kind, word, 1);
                return Bell::of(ring);
            }
            Self::NotOurs => {}
            Self::HandlersAfterAll(word) => metrics::ended(kind, word, 1),
            Self::Refused => {
                metrics::refused(kind);
                tracing::warn!(worker = %core.name, task_id = item.run.task_id().0, lease_token = item.run.token().0, outcome = word, "a late outcome was refused: the lease was lost");
            }
        }
        Bell::silent()
    }
}

/// What batches cannot do: it has children, was asked to stop, or is stale.
async fn single(conn: &mut sqlx::PgConnection, item: &Item, doubt: bool) -> Result<Single, sqlx::Error> {
    let fence = item.run.fence();
    if let Written::Yes(ring) = finish::one(conn, fence, &item.ending).await? {
        return Ok(Single::Written(ring));
    }
    let shared = item.run.shared();
    if shared.wrote_itself() {
        let in_doubt = shared.in_doubt();
        return Ok(match in_doubt {
            Some(word) if finish::already_written(conn, fence).await? => Single::HandlersAfterAll(word),
            _ => Single::NotOurs,
        });
    }
    if doubt && finish::already_written(conn, fence).await? {
        return Ok(Single::Written(Vec::new()));
    }
    finish::refused(conn, fence, item.ending.word()).await?;
    Ok(Single::Refused)
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
