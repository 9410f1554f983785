//! What was read a moment ago, for answers that only show it: what prices have taught, and what the budgets leave. Nothing is decided by
//! it: money is held by the worker, under the locks of the budgets themselves.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use spool_db::budgets::{self, Standing};
use spool_db::error::DbError;
use spool_db::learned::{self, Learned};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::Database;
use crate::error::ApiError;

/// How old it may be.
pub const LIFE: Duration = Duration::from_millis(750);
/// Most values that are kept.
const MOST: usize = 1024;

#[derive(Debug)]
pub struct Recent {
    learned: Kept<(), Arc<Learned>>,
    /// By client and campaign.
    budgets: Kept<(Uuid, Uuid), Vec<Standing>>,
}

impl Recent {
    pub fn new(life: Duration) -> Self {
        Self { learned: Kept::new(life), budgets: Kept::new(life) }
    }

    /// What purchases have really cost, and the budgets that bind a new job of this campaign. A connection is taken only where one of them
    /// must be read.
    pub async fn of_new_job(
        &self,
        db: &Database,
        client: Uuid,
        campaign: Uuid,
    ) -> Result<(Arc<Learned>, Vec<Standing>), ApiError> {
        if let (Some(learned), Some(budgets)) =
            (self.learned.young(()), self.budgets.young((client, campaign)))
        {
            return Ok((learned, budgets));
        }
        let mut conn = db.read().await?;
        Ok((self.learned(&mut conn).await?, self.budgets(&mut conn, client, campaign).await?))
    }

    /// What purchases have really cost.
    pub async fn learned(&self, conn: &mut PgConnection) -> Result<Arc<Learned>, DbError> {
        self.learned.get((), async { learned::all(conn).await.map(Arc::new) }).await
    }

    /// The budgets that bind a new job of this campaign.
    async fn budgets(
        &self,
        conn: &mut PgConnection,
        client: Uuid,
        campaign: Uuid,
    ) -> Result<Vec<Standing>, DbError> {
        self.budgets
            .get((client, campaign), budgets::applying(conn, Some(client), Some(campaign), None))
            .await
    }
}

/// Values by key, for a time; no more than there is room for.
#[derive(Debug)]
pub struct Kept<K, V> {
    life: Duration,
    known: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Copy + Eq + Hash, V: Clone> Kept<K, V> {
    pub fn new(life: Duration) -> Self {
        Self { life, known: Mutex::default() }
    }

    /// What is kept, else what `read` reads.
    async fn get<E>(&self, key: K, read: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        if let Some(value) = self.young(key) {
            return Ok(value);
        }
        let asked = Instant::now();
        let value = read.await?;
        self.keep(key, asked, value.clone());
        Ok(value)
    }

    /// Keeps what has been read since it was `asked` for, if there is room.
    pub fn keep(&self, key: K, asked: Instant, value: V) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.retain(|_, (asked, _)| asked.elapsed() < self.life);
        }
        if known.len() < MOST || known.contains_key(&key) {
            known.insert(key, (asked, value));
        }
    }

    pub fn forget(&self, key: K) {
        self.known().remove(&key);
    }

    pub fn young(&self, key: K) -> Option<V> {
        let known = self.known();
        let (asked, value) = known.get(&key)?;
        (asked.elapsed() < self.life).then(|| value.clone())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_read_once_a_moment_and_room_is_bounded() {
        let kept = Kept::new(Duration::from_secs(3600));
        let read = async |key: usize, value: usize| kept.get(key, async { Ok::<_, DbError>(value) }).await;
        assert_eq!(read(1, 1).await.expect("read"), 1);
        assert_eq!(read(1, 2).await.expect("kept"), 1);
        assert_eq!(read(2, 3).await.expect("another"), 3);
        for key in 0..2 * MOST {
            read(key, key).await.expect("read");
        }
        assert_eq!(kept.known().len(), MOST);

        let forgetful = Kept::new(Duration::ZERO);
        for value in [1, 2] {
            assert_eq!(forgetful.get((), async { Ok::<_, DbError>(value) }).await.expect("read"), value);
        }
    }
}
