//! Jobs that are asked for at the same time are written by one statement, with the answers under their idempotency keys and the notes of who
//! asked: most of what a creation costs is the beginning and ending of statements and the way to Postgres and back. A job that comes alone
//! waits for nobody. When a group cannot be written, because of one of its jobs or because somebody holds one of its campaigns, each of
//! them is written alone, and nobody waits for that.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use spool_db::audit::Change;
use spool_db::idempotency::{Entry, Use};
use spool_db::job_creation::{self, Order, Outcome, SCENE_IS_THERE};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use crate::audit;
use crate::database::Database;
use crate::error::ApiError;
use crate::groups::Groups;
use crate::idempotency::KeyedRequest;
use crate::metrics;

/// Most that are written alone at the same time: connections that are left to wait for what others hold.
const ALONE: usize = 4;
/// For so long one waits for its turn to be written alone.
const PATIENCE: Duration = Duration::from_secs(10);
/// A group waits for no campaign that somebody holds, or all would wait for one.
const GROUP_PATIENCE: &str = "500ms";
/// Much less than others wait for their turn.
const ALONE_PATIENCE: &str = "4s";
/// Then nothing is heard of it any more.
const LONGEST: Duration = Duration::from_secs(15);
/// A key may still be held by a connection that has just been lost or refused, and the next connection may be lost too: tries, and the time
/// between them.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const JSON: &str = "application/json";

type Told = oneshot::Sender<Result<Outcome, ApiError>>;

/// What commits with a job on behalf of the request that is answered: its idempotency key, and the note of who asks.
pub struct Errand {
    request: Option<Arc<KeyedRequest>>,
    key: Option<Use>,
    change: Option<Change>,
}

impl Errand {
    /// Takes over from this request.
    pub async fn of_this_request() -> Result<Self, ApiError> {
        let request = KeyedRequest::current();
        let key = match &request {
            Some(request) => Some(request.hand_over().await?),
            None => None,
        };
        Ok(Self { request, key, change: audit::take() })
    }
}

#[derive(Clone)]
pub struct GroupCommit {
    orders: Groups<(Order, Told)>,
}

impl GroupCommit {
    /// Starts the writer; it ends with the last handle.
    pub fn new(db: &Database) -> Self {
        let writer = Writer { db: db.clone(), alone: Arc::new(Semaphore::new(ALONE)) };
        Self { orders: Groups::new(move |group| writer.clone().write_group(group)) }
    }

    /// How many no writer has taken up yet.
    pub fn waiting(&self) -> usize {
        self.orders.waiting()
    }

    /// Creates a job; `None` when there is no such campaign, or it is not any more what the storyboard was made from. If the request is
    /// given up while the job is being written, it is written all the same.
    pub async fn carry_out(&self, errand: &Errand, mut order: Order) -> Result<Option<Response>, ApiError> {
        order.key.clone_from(&errand.key);
        order.change.clone_from(&errand.change);
        let (told, outcome) = oneshot::channel();
        self.orders.hand_in((order, told)).await?;
        match (outcome.await.map_err(ApiError::internal)??, &errand.request) {
            (Outcome::Created(_, answer), request) => {
                if request.is_some() {
                    metrics::idempotency("new");
                }
                let body = answer.ok_or_else(|| ApiError::internal("an order without an answer"))?;
                Ok(Some((StatusCode::CREATED, [(header::CONTENT_TYPE, JSON)], body).into_response()))
            }
            (Outcome::Taken(entry), Some(request)) => request.found(entry).await.map(|()| None),
            (Outcome::NoCampaign | Outcome::Taken(_), _) => Ok(None),
        }
    }
}

#[derive(Clone)]
struct Writer {
    db: Database,
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
        let failed = match self.write(&orders, GROUP_PATIENCE).await {
            Ok(outcomes) => {
                for (told, outcome) in told.into_iter().zip(outcomes) {
                    told.send(Ok(outcome)).ok();
                }
                return;
            }
            Err(failed) => failed,
        };
        tracing::warn!(
            error = failed.error().why(),
            count = orders.len(),
            "a group of jobs could not be written"
        );
        for (order, told) in orders.into_iter().zip(told) {
            if failed.may_be_tried_again(&order) {
                let lost = matches!(failed, Failed::Lost(_));
                tokio::spawn(self.clone().write_alone(order, told, lost));
            } else {
                told.send(Err(failed.error().clone())).ok();
            }
        }
    }

    /// What was `lost` once may have been written.
    async fn write_alone(self, order: Order, told: Told, mut lost: bool) {
        let Ok(Ok(_turn)) = timeout(PATIENCE, self.alone.acquire()).await else {
            told.send(Err(ApiError::unavailable("the campaign", "others wait for what somebody holds"))).ok();
            return;
        };
        for look in 1..=LOOKS {
            if told.is_closed() {
                return;
            }
            let outcome = self.write(std::slice::from_ref(&order), ALONE_PATIENCE).await;
            let outcome = outcome.map(|one| one.into_iter().next().unwrap_or(Outcome::NoCampaign));
            let open = match &outcome {
                Ok(outcome) => matches!(outcome, Outcome::Taken(Entry::Busy)),
                Err(failed) => matches!(failed, Failed::Lost(_)) && failed.may_be_tried_again(&order),
            };
            if open && look < LOOKS {
                lost |= outcome.is_err();
                sleep(BETWEEN_LOOKS).await;
                continue;
            }
            // Nothing that tells whether it is there has been looked at, and whoever hears that it is not plans it anew.
            if lost
                && order.key.is_none()
                && order.mark.is_some()
                && matches!(outcome, Ok(Outcome::NoCampaign))
            {
                told.send(Err(cannot_be_told())).ok();
                return;
            }
            told.send(outcome.map_err(|failed| failed.error().clone())).ok();
            return;
        }
    }

    /// Writes orders in one transaction: all that can be, or, with an error, none.
    async fn write(&self, orders: &[Order], patience: &str) -> Result<Vec<Outcome>, Failed> {
        let mut connection = self.db.one_statement().await.map_err(Failed::without_connection)?;
        let written = job_creation::create_all(&mut connection, orders, Some(patience));
        match timeout(LONGEST, written).await {
            Ok(Ok(outcomes)) => connection.done().await.map(|()| outcomes).map_err(Failed::Lost),
            Ok(Err(error)) if error.is_constraint(SCENE_IS_THERE) => Err(Failed::Refused(cannot_be_told())),
            Ok(Err(error)) if error.is_refused() => Err(Failed::Refused(error.into())),
            Ok(Err(error)) => Err(Failed::Lost(error.into())),
            Err(late) => {
                connection.give_up();
                Err(Failed::Lost(ApiError::unavailable("the database", late)))
            }
        }
    }
}

fn cannot_be_told() -> ApiError {
    let why = "the connection was lost when the job was being created, and what came of it cannot be told";
    ApiError::unavailable("the answer", why)
}

enum Failed {
    /// Nothing of it is written.
    Refused(ApiError),
    /// The connection was lost on the way, or nothing is heard of it: nobody knows.
    Lost(ApiError),
    /// There was none, after long waiting.
    NoConnection(ApiError),
}

impl Failed {
    /// A connection that was lost long ago may be noticed here, and says nothing of the next one.
    fn without_connection(error: sqlx::Error) -> Self {
        let told = if matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) {
            Self::NoConnection
        } else {
            Self::Refused
        };
        told(ApiError::unavailable("the database", error))
    }

    fn may_be_tried_again(&self, order: &Order) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Lost(_) => order.may_come_again(),
            Self::NoConnection(_) => false,
        }
    }

    const fn error(&self) -> &ApiError {
        match self {
            Self::Refused(error) | Self::Lost(error) | Self::NoConnection(error) => error,
        }
    }
}
