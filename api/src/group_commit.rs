//! Jobs that are asked for at the same time are written by one statement, with the answers under their idempotency keys and the notes of who
//! asked: most of what a creation costs is the beginning and ending of statements and the way to Postgres and back. A job that comes alone
//! waits for nobody. When a group cannot be written, because of one of its jobs or because somebody holds one of its campaigns, each of
//! them is written alone, and nobody waits for that.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use spool_db::idempotency::Entry;
use spool_db::job_creation::{self, Order, Outcome};
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
const ALONE_PATIENCE: &str = "10s";
/// A key may still be held by a connection that has just been lost: looks at it, and the time between them.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const JSON: &str = "application/json";

type Told = oneshot::Sender<Result<Outcome, ApiError>>;

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

    /// Creates a job on behalf of the request that is answered; `None` when there is no such campaign. If the request is given up while
    /// the job is being written, it is written all the same.
    pub async fn carry_out(&self, mut order: Order) -> Result<Option<Response>, ApiError> {
        let request = KeyedRequest::current();
        if let Some(request) = &request {
            order.key = Some(request.hand_over().await?);
        }
        order.change = audit::take();
        let (told, outcome) = oneshot::channel();
        self.orders.hand_in((order, told)).await?;
        match (outcome.await.map_err(ApiError::internal)??, request) {
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
        let why = "a group of jobs could not be written: each that may be is written alone";
        tracing::warn!(error = failed.error().why(), count = orders.len(), "{why}");
        for (order, told) in orders.into_iter().zip(told) {
            match &failed {
                Failed::Refused(_) => {
                    tokio::spawn(self.clone().write_alone(order, told));
                }
                // It may have been carried out; but whoever has a key learns from it what was done.
                Failed::Lost(_) if order.key.is_some() => {
                    tokio::spawn(self.clone().write_alone(order, told));
                }
                Failed::Lost(error) | Failed::NoConnection(error) => {
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
            let outcome = self.write(std::slice::from_ref(&order), ALONE_PATIENCE).await;
            let outcome = outcome.map(|one| one.into_iter().next().unwrap_or(Outcome::NoCampaign));
            if look < LOOKS && matches!(outcome, Ok(Outcome::Taken(Entry::Busy))) {
                sleep(BETWEEN_LOOKS).await;
                continue;
            }
            told.send(outcome.map_err(|failed| failed.error().clone())).ok();
            return;
        }
    }

    /// Writes orders in one transaction: all that can be, or, with an error, none.
    async fn write(&self, orders: &[Order], patience: &str) -> Result<Vec<Outcome>, Failed> {
        let mut connection = self.db.one_statement().await.map_err(Failed::NoConnection)?;
        match job_creation::create_all(&mut connection, orders, Some(patience)).await {
            Ok(outcomes) => connection.done().await.map(|()| outcomes).map_err(Failed::Lost),
            Err(error) if error.is_refused() => Err(Failed::Refused(error.into())),
            Err(error) => Err(Failed::Lost(error.into())),
        }
    }
}

enum Failed {
    /// Nothing of it is written.
    Refused(ApiError),
    /// The connection was lost on the way: nobody knows.
    Lost(ApiError),
    /// There was none, after long waiting.
    NoConnection(ApiError),
}

impl Failed {
    const fn error(&self) -> &ApiError {
        match self {
            Self::Refused(error) | Self::Lost(error) | Self::NoConnection(error) => error,
        }
    }
}
