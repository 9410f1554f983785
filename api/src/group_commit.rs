//! Jobs that are asked for at the same time are written by one transaction, with the answers under their idempotency keys and the notes
//! of who asked: most of what a creation costs Postgres is the beginning and ending of statements and transactions. A job that comes alone
//! waits for nobody. When a group cannot be written, because of one of its jobs or because somebody holds one of its campaigns, each of
//! them is written alone, and nobody waits for that.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use spool_db::audit::Change;
use spool_db::error::DbError;
use spool_db::idempotency::{self, Entry, Record, Stored, Use};
use spool_db::job_creation::{self, NewJob, NewRows};
use sqlx::{PgConnection, PgPool};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use crate::audit;
use crate::error::ApiError;
use crate::groups::Groups;
use crate::idempotency::KeyedRequest;
use crate::metrics;

/// Most that are written alone at the same time: connections that are left to wait for what others hold.
const ALONE: usize = 4;
/// For so long one waits for its turn to be written alone.
const PATIENCE: Duration = Duration::from_secs(10);
/// A group waits for no campaign that somebody holds, or all would wait for one.
const BEGIN_GROUP: &str = "BEGIN; SET LOCAL lock_timeout = '500ms'";
const BEGIN_ALONE: &str = "BEGIN; SET LOCAL lock_timeout = '10s'";
/// A key may still be held by a connection that has just been lost: looks at it, and the time between them.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const JSON: &str = "application/json";

/// Makes the JSON of an answer from what has come to be.
pub type Answer = Box<dyn Fn(NewRows) -> serde_json::Result<Vec<u8>> + Send + Sync>;

/// A job to write, with all that commits with it.
struct Order {
    job: NewJob,
    /// The idempotency key that it was asked for with.
    key: Option<Use>,
    /// Who asks; the id of the job is added.
    change: Option<Change>,
    answer: Answer,
}

/// What became of an order.
enum Outcome {
    /// It is written, and this is the answer, which is kept under its key.
    Created(Vec<u8>),
    /// There is no such campaign (any more).
    NoCampaign,
    /// Its key is not free.
    Taken(Entry),
}

type Told = oneshot::Sender<Result<Outcome, ApiError>>;

#[derive(Clone)]
pub struct GroupCommit {
    orders: Groups<(Order, Told)>,
}

impl GroupCommit {
    /// Starts the writers; they end with the last handle.
    pub fn new(pool: &PgPool) -> Self {
        let writer = Writer { pool: pool.clone(), alone: Arc::new(Semaphore::new(ALONE)) };
        Self { orders: Groups::new(move |group| writer.clone().write_group(group)) }
    }

    /// How many no writer has taken up yet.
    pub fn waiting(&self) -> usize {
        self.orders.waiting()
    }

    /// Creates a job on behalf of the request that is answered; `None` when there is no such campaign. If the request is given up while
    /// the job is being written, it is written all the same.
    pub async fn create(&self, job: NewJob, answer: Answer) -> Result<Option<Response>, ApiError> {
        let request = KeyedRequest::current();
        let key = match &request {
            Some(request) => Some(request.hand_over().await?),
            None => None,
        };
        let (told, outcome) = oneshot::channel();
        let order = Order { job, key, change: audit::take(), answer };
        self.orders.hand_in((order, told)).await?;
        match (outcome.await.map_err(ApiError::internal)??, request) {
            (Outcome::Created(body), request) => {
                if request.is_some() {
                    metrics::idempotency("new");
                }
                Ok(Some((StatusCode::CREATED, [(header::CONTENT_TYPE, JSON)], body).into_response()))
            }
            (Outcome::Taken(entry), Some(request)) => request.found(entry).await.map(|()| None),
            (Outcome::NoCampaign | Outcome::Taken(_), _) => Ok(None),
        }
    }
}

#[derive(Clone)]
struct Writer {
    pool: PgPool,
    alone: Arc<Semaphore>,
}

impl Writer {
    async fn write_group(self, mut group: Vec<(Order, Told)>) {
        // Who has gone asks again.
        group.retain(|(_, told)| !told.is_closed());
        if group.is_empty() {
            return;
        }
        let (orders, told): (Vec<Order>, Vec<Told>) = group.into_iter().unzip();
        match together(&self.pool, BEGIN_GROUP, &orders).await {
            Ok(outcomes) => {
                for (told, outcome) in told.into_iter().zip(outcomes) {
                    told.send(Ok(outcome)).ok();
                }
            }
            Err(Failed::Refused(error)) => {
                let why = "a group of jobs could not be written: each is written alone";
                tracing::warn!(error = error.why(), count = orders.len(), "{why}");
                for (order, told) in orders.into_iter().zip(told) {
                    tokio::spawn(self.clone().write_alone(order, told));
                }
            }
            Err(failed) => {
                let error = ApiError::from(failed);
                for told in told {
                    told.send(Err(error.clone())).ok();
                }
            }
        }
    }

    async fn write_alone(self, order: Order, told: Told) {
        let Ok(Ok(_turn)) = timeout(PATIENCE, self.alone.acquire()).await else {
            told.send(Err(ApiError::unavailable("the campaign", "others wait for what somebody holds"))).ok();
            return;
        };
        for look in 1..=LOOKS {
            if told.is_closed() {
                return;
            }
            let outcome = together(&self.pool, BEGIN_ALONE, std::slice::from_ref(&order)).await;
            let outcome = outcome.map(|one| one.into_iter().next().unwrap_or(Outcome::NoCampaign));
            if look < LOOKS && matches!(outcome, Ok(Outcome::Taken(Entry::Busy))) {
                sleep(BETWEEN_LOOKS).await;
                continue;
            }
            told.send(outcome.map_err(ApiError::from)).ok();
            return;
        }
    }
}

enum Failed {
    /// Nothing of it is written.
    Refused(ApiError),
    /// There was no connection, or it was lost in a commit, which may have been carried out. It is not tried again.
    Unknown(sqlx::Error),
}

impl From<Failed> for ApiError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(error) => error,
            Failed::Unknown(error) => unavailable(error),
        }
    }
}

fn unavailable(error: sqlx::Error) -> ApiError {
    ApiError::unavailable("the database", error)
}

/// Writes orders in one transaction: all that can be, or, with an error, none.
async fn together(pool: &PgPool, begin: &'static str, orders: &[Order]) -> Result<Vec<Outcome>, Failed> {
    let mut transaction = pool.begin_with(begin).await.map_err(not_begun)?;
    match write(&mut transaction, orders).await {
        Ok(outcomes) => {
            transaction.commit().await.map_err(Failed::Unknown)?;
            Ok(outcomes)
        }
        Err(error) => {
            // Now, so that the keys are free for those who are written alone.
            transaction.rollback().await.ok();
            Err(Failed::Refused(error))
        }
    }
}

/// A connection that was lost long ago is noticed here, and says nothing of the next one.
fn not_begun(error: sqlx::Error) -> Failed {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Failed::Unknown(error),
        error => Failed::Refused(unavailable(error)),
    }
}

async fn write(conn: &mut PgConnection, orders: &[Order]) -> Result<Vec<Outcome>, ApiError> {
    let mut outcomes = taken(conn, orders).await?;
    let free: Vec<usize> = (0..orders.len()).filter(|nth| outcomes[*nth].is_none()).collect();
    let jobs: Vec<&NewJob> = free.iter().map(|nth| &orders[*nth].job).collect();
    let made = job_creation::create_all(conn, &jobs).await?;
    let mut written = Vec::with_capacity(free.len());
    for (nth, rows) in free.into_iter().zip(made) {
        let Some(rows) = rows else { continue };
        let change = orders[nth].change.clone().map(|change| change.about("job", rows.job.id));
        let body = (orders[nth].answer)(rows).map_err(ApiError::internal)?;
        written.push((nth, change, stored(body)));
    }
    let records: Vec<Record<'_>> = written
        .iter()
        .map(|(nth, change, answer)| Record {
            key: orders[*nth].key.as_ref().map(|key| (key, Some(answer))),
            change: change.as_ref(),
        })
        .collect();
    idempotency::record(conn, &records).await?;
    for (nth, _, answer) in written {
        outcomes[nth] = answer.body.map(Outcome::Created);
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::NoCampaign)).collect())
}

/// Enters the keys; what becomes of those orders whose key is not free.
async fn taken(conn: &mut PgConnection, orders: &[Order]) -> Result<Vec<Option<Outcome>>, DbError> {
    let keys: Vec<&Use> = orders.iter().filter_map(|order| order.key.as_ref()).collect();
    if keys.is_empty() {
        return Ok(orders.iter().map(|_| None).collect());
    }
    let mut entries = idempotency::enter_all(conn, &keys).await?.into_iter();
    let taken = |order: &Order| {
        let entry = order.key.as_ref().and_then(|_| entries.next())?;
        (entry != Entry::Free).then_some(Outcome::Taken(entry))
    };
    Ok(orders.iter().map(taken).collect())
}

fn stored(body: Vec<u8>) -> Stored {
    let content_type = Some(JSON.to_owned());
    Stored { status: StatusCode::CREATED.as_u16(), content_type, location: None, body: Some(body) }
}
