//! Answers to status polls, as they were written. Many polls at once read the rows once; a change takes the answer away; and an answer
//! that is no longer young is looked at again, which is much less than writing it anew.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use spool_db::job_mark::Mark;
use spool_job::state::JobState;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::error::ApiError;
use crate::metrics;

/// Most answers that are kept: some tens of megabytes.
const MOST: usize = 4096;

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whose job it is.
    pub owner: Option<Uuid>,
    pub state: JobState,
    pub stage: String,
    pub tag: HeaderValue,
    /// When the links in it end, in seconds since 1970; 0 when it holds none.
    pub links_end: i64,
    /// Of what it was made from.
    pub mark: Mark,
    pub body: Bytes,
}

/// The job, and whether the caller may know what all clients have spent together.
pub type Key = (i64, bool);

pub type Made = Result<Option<Arc<Answer>>, ApiError>;

#[derive(Debug)]
struct Cell {
    /// Before its rows were read.
    born: Instant,
    made: OnceCell<Made>,
}

/// What is there for a poll.
struct Lookup {
    cell: Arc<Cell>,
    /// Its answer is to be made.
    is_new: bool,
    /// The answer of the cell before it, where that may still hold.
    earlier: Option<Arc<Answer>>,
}

#[derive(Debug)]
pub struct Answers {
    cells: Mutex<HashMap<Key, Arc<Cell>>>,
    life: Duration,
}

impl Answers {
    pub fn new(life: Duration) -> Self {
        Self { cells: Mutex::default(), life }
    }

    /// What is kept, if it is as the job is now: young, or `vouched` for. Its body may tell older news of budgets.
    pub fn head(&self, key: Key, vouched: bool) -> Option<Arc<Answer>> {
        let cell = self.cells().get(&key).cloned()?;
        let answer = cell.made.get()?.clone().ok()??;
        (vouched || cell.born.elapsed() < self.life).then_some(answer)
    }

    /// The answer: what is kept if it is young (or `vouched` for, and the job has ended), else what `make` makes, once for all who ask
    /// meanwhile; it is given the one that is no longer young, to see whether it still holds. An answer whose links end at another time
    /// than `links_end` is not used.
    pub async fn get<F>(
        &self,
        key: Key,
        vouched: bool,
        links_end: i64,
        make: impl FnOnce(Option<Arc<Answer>>) -> F,
    ) -> Made
    where
        F: Future<Output = Made>,
    {
        let Lookup { cell, is_new, earlier } = self.cell(key, vouched, links_end);
        let was_made = cell.made.initialized();
        let made = cell.made.get_or_init(|| make(earlier.clone())).await;
        metrics::status_cache(match (is_new, was_made) {
            (true, _) if holds(earlier.as_ref(), made) => "revalidated",
            (true, _) => "miss",
            (false, true) => "hit",
            (false, false) => "joined",
        });
        // What is not there, and what went wrong, is asked anew each time.
        if !matches!(made, Ok(Some(_))) {
            self.drop_cell(key, &cell);
        }
        made.clone()
    }

    pub fn forget(&self, job: i64) {
        let mut cells = self.cells();
        cells.remove(&(job, false));
        cells.remove(&(job, true));
    }

    pub fn forget_all(&self) {
        self.cells().clear();
    }

    fn cell(&self, key: Key, vouched: bool, links_end: i64) -> Lookup {
        let mut cells = self.cells();
        let mut earlier = None;
        if let Some(cell) = cells.get(&key) {
            let is_young = cell.born.elapsed() < self.life;
            let usable = match cell.made.get() {
                None => is_young,
                Some(Ok(Some(answer))) => {
                    let links_stand = answer.links_end == 0 || answer.links_end == links_end;
                    earlier = links_stand.then(|| Arc::clone(answer));
                    links_stand && (is_young || (vouched && answer.state.is_final()))
                }
                Some(_) => false,
            };
            if usable {
                return Lookup { cell: Arc::clone(cell), is_new: false, earlier: None };
            }
        }
        if cells.len() >= MOST {
            self.make_room(&mut cells, vouched);
        }
        let cell = Arc::new(Cell { born: Instant::now(), made: OnceCell::new() });
        cells.insert(key, Arc::clone(&cell));
        Lookup { cell, is_new: true, earlier }
    }

    /// First what is of no use any more, then whatever lies there.
    fn make_room(&self, cells: &mut HashMap<Key, Arc<Cell>>, vouched: bool) {
        cells.retain(|_, cell| vouched || cell.born.elapsed() < self.life);
        let mut odd = false;
        if cells.len() >= MOST {
            cells.retain(|_, _| {
                odd = !odd;
                odd
            });
        }
    }

    fn drop_cell(&self, key: Key, cell: &Arc<Cell>) {
        let mut cells = self.cells();
        if cells.get(&key).is_some_and(|kept| Arc::ptr_eq(kept, cell)) {
            cells.remove(&key);
        }
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<Key, Arc<Cell>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what was made is the earlier answer itself.
fn holds(earlier: Option<&Arc<Answer>>, made: &Made) -> bool {
    matches!((earlier, made), (Some(earlier), Ok(Some(made))) if Arc::ptr_eq(earlier, made))
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
