//! Requests that may be sent again: one with an `Idempotency-Key` does its work once, however often it comes.
//!
//! Handlers know nothing of it. [`Database::begin`](crate::database::Database::begin) enters the key in the handler's own transaction,
//! and [`commit`](crate::database::commit) keeps that transaction open until the answer is made, so that what was done and what was
//! answered commit together: a process that dies before has done nothing, one that dies after has answered. A handler with several
//! transactions commits each of them when it begins or reads the next; the first carries a mark that the key is used.

use std::future::Future;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use spool_db::audit::Change;
use spool_db::idempotency::{self, Entry, Stored, Use};
use spool_queue::Bell;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::Mutex;

use crate::error::{ApiError, Code};
use crate::metrics;

/// Longest answer that is kept.
const MOST_ANSWER_BYTES: usize = 8 << 20;
/// Says that an answer is the one of an earlier request.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

tokio::task_local! {
    static REQUEST: Arc<KeyedRequest>;
}

/// A handler puts it into the extensions of an answer that holds a secret: then the answer is not kept, only that there was one.
#[derive(Debug, Clone, Copy)]
pub struct HoldsSecret;

/// A request with a key, while it is handled.
pub struct KeyedRequest {
    this: Use,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// What the handler has committed, kept open until there is an answer.
    open: Option<Transaction<'static, Postgres>>,
    /// What it changes, until that is noted: by the statement that records the answer, for one round trip is less than two.
    change: Option<Change>,
    /// What to tell the workers once all of it is committed.
    bell: Bell,
    /// Something was committed for good without the answer.
    begun: bool,
    /// What an earlier request with this key was answered.
    earlier: Option<Stored>,
    /// The key was free, or this request's, at least once.
    entered: bool,
    /// The key is not this request's. That is the answer, also of a handler that goes on after one of its parts has failed.
    refused: Option<Refusal>,
}

#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// It was used for another request.
    Other,
    /// Another request has it now.
    Busy,
}

impl Refusal {
    const fn word(self) -> &'static str {
        match self {
            Self::Other => "mismatch",
            Self::Busy => "conflict",
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Other => {
                let why = "this idempotency-key was used for another request: take a new one";
                Self::unprocessable(Code::IdempotencyKeyReused, why)
            }
            Refusal::Busy => {
                let why = "a request with this idempotency-key is under way, or was cut off half way; ask again in a moment, and if \
                           this stays so look what it has done";
                Self::new(StatusCode::CONFLICT, Code::IdempotencyKeyInUse, why)
                    .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
        }
    }
}

impl KeyedRequest {
    pub fn new(this: Use) -> Self {
        Self { this, progress: Mutex::default() }
    }

    /// The one that this handler works for, if it came with a key.
    pub fn current() -> Option<Arc<Self>> {
        REQUEST.try_with(Arc::clone).ok()
    }

    /// Runs the handler, and answers.
    pub async fn run(self, pool: &PgPool, handler: impl Future<Output = Response>) -> Response {
        let this = Arc::new(self);
        let response = REQUEST.scope(Arc::clone(&this), handler).await;
        this.finish(pool, response).await.unwrap_or_else(axum::response::IntoResponse::into_response)
    }

    /// Begins a transaction that nobody else can begin with this key.
    pub async fn begin(&self, pool: &PgPool) -> Result<Transaction<'static, Postgres>, ApiError> {
        self.free().await?;
        let mut transaction = pool.begin().await.map_err(unavailable)?;
        let entry = idempotency::enter(&mut transaction, &self.this).await?;
        self.found(entry).await?;
        Ok(transaction)
    }

    /// The key, for work that is committed elsewhere together with its answer. What is found under it there is to be told by
    /// [`found`](Self::found).
    pub async fn hand_over(&self) -> Result<Use, ApiError> {
        self.free().await?;
        Ok(self.this.clone())
    }

    async fn free(&self) -> Result<(), ApiError> {
        self.settle().await?;
        self.progress.lock().await.refused.map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// What was found under the key: an error unless it was free.
    pub async fn found(&self, entry: Entry) -> Result<(), ApiError> {
        match entry {
            Entry::Free => {
                self.progress.lock().await.entered = true;
                Ok(())
            }
            Entry::Other => Err(self.refuse(Refusal::Other).await),
            Entry::Busy => Err(self.refuse(Refusal::Busy).await),
            Entry::Answered(earlier) => {
                self.progress.lock().await.earlier = Some(earlier);
                // Nobody sees this one: the earlier answer takes its place.
                let why = "this idempotency-key was answered before";
                Err(ApiError::new(StatusCode::CONFLICT, Code::IdempotencyKeyInUse, why))
            }
        }
    }

    async fn refuse(&self, refusal: Refusal) -> ApiError {
        metrics::idempotency(refusal.word());
        let mut progress = self.progress.lock().await;
        // Who was in before has met another transaction of its own, which is over in a moment.
        if !progress.entered {
            progress.refused = Some(refusal);
        }
        refusal.into()
    }

    /// What the handler has committed becomes durable together with the answer, or when the handler goes on to something else.
    pub async fn keep(
        &self,
        transaction: Transaction<'static, Postgres>,
        change: Option<Change>,
    ) -> Result<(), ApiError> {
        self.settle().await?;
        let mut progress = self.progress.lock().await;
        progress.open = Some(transaction);
        progress.change = change;
        Ok(())
    }

    /// Commits what is kept, without an answer: the handler looks at the database again, and must see it.
    pub async fn settle(&self) -> Result<(), ApiError> {
        let mut progress = self.progress.lock().await;
        match progress.open.take() {
            // On the heap: nearly every read comes by here, and nearly none has anything to settle.
            Some(transaction) => Box::pin(self.commit_now(&mut progress, transaction)).await,
            None => Ok(()),
        }
    }

    async fn commit_now(
        &self,
        progress: &mut Progress,
        mut transaction: Transaction<'static, Postgres>,
    ) -> Result<(), ApiError> {
        // The first commit has all that there is to note.
        let change = progress.change.take();
        if !progress.begun {
            idempotency::record(&mut transaction, &self.this, None, change.as_ref()).await?;
        }
        transaction.commit().await.map_err(unavailable)?;
        progress.begun = true;
        Ok(())
    }

    /// Rings once what was done is committed.
    pub async fn ring(&self, bell: Bell) {
        self.progress.lock().await.bell.merge(bell);
    }

    async fn finish(&self, pool: &PgPool, response: Response) -> Result<Response, ApiError> {
        let mut progress = self.progress.lock().await;
        if let Some(earlier) = progress.earlier.take() {
            metrics::idempotency("replayed");
            return again(earlier);
        }
        if let Some(refusal) = progress.refused {
            return Err(refusal.into());
        }
        if progress.open.is_none() && !progress.begun {
            // It has changed nothing, so it may come again.
            return Ok(response);
        }
        Box::pin(self.commit_with(&mut progress, pool, response)).await
    }

    /// Commits what is kept, with this answer.
    async fn commit_with(
        &self,
        progress: &mut Progress,
        pool: &PgPool,
        response: Response,
    ) -> Result<Response, ApiError> {
        let mut transaction = match progress.open.take() {
            Some(transaction) => transaction,
            None => pool.begin().await.map_err(unavailable)?,
        };
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, MOST_ANSWER_BYTES).await.map_err(ApiError::internal)?;
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let answer = Stored {
            status: parts.status.as_u16(),
            content_type: text(header::CONTENT_TYPE),
            location: text(header::LOCATION),
            body: parts.extensions.get::<HoldsSecret>().is_none().then(|| body.to_vec()),
        };
        idempotency::record(&mut transaction, &self.this, Some(&answer), progress.change.as_ref()).await?;
        transaction.commit().await.map_err(unavailable)?;
        std::mem::take(&mut progress.bell).ring(pool).await;
        metrics::idempotency("new");
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

/// The earlier answer, as it was.
fn again(earlier: Stored) -> Result<Response, ApiError> {
    let Some(body) = earlier.body else {
        let why = "this request was carried out before; its answer held a secret and was not kept";
        return Err(ApiError::new(StatusCode::CONFLICT, Code::IdempotencyKeyInUse, why));
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(earlier.status).map_err(ApiError::internal)?;
    let headers = [(header::CONTENT_TYPE, earlier.content_type), (header::LOCATION, earlier.location)];
    for (name, value) in headers {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn unavailable(error: sqlx::Error) -> ApiError {
    ApiError::unavailable("the database", error)
}
