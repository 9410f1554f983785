//! The trait that a step implements, and its form without types.

use std::{fmt::Display, future::Future, pin::Pin, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    error::BoxError,
    outcome::{Done, Failure},
    retry::RetryPolicy,
    run::Run,
};

/// How a run's outcome reaches the database when the handler does not commit it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// With others in one statement; a crash can repeat up to a batch of finished runs.
    Batched,
    /// At once and alone: for work that has cost money or time.
    Alone,
}

/// Does the tasks of one kind.
///
/// A run can be repeated (a crash, a timeout), so what it does outside must be safe to repeat, or be guarded by [`Run::check`].
pub trait Handler: Send + Sync + 'static {
    /// The kind of its tasks.
    const KIND: &'static str;
    /// The queue it serves.
    const QUEUE: &'static str;
    /// How long one run may take.
    const TIMEOUT: Duration;
    /// How often and how late a failed attempt is repeated.
    const RETRY: RetryPolicy = RetryPolicy::DEFAULT;
    /// The version of the payload's shape that `Payload` has. Older ones go through [`Handler::upcast`]. A task with a newer one is
    /// parked and looked at again, as one of an unknown kind is: a newer worker may come.
    const VERSION: i16 = 1;
    /// How a plain outcome is written.
    const COMPLETION: Completion = Completion::Batched;
    /// What a task carries.
    type Payload: DeserializeOwned + Send;

    /// Makes a payload of an older `version` into one of [`Handler::VERSION`]. Without it an older payload is a dead task.
    ///
    /// ```
    /// # use spool_queue::{BoxError, Done, Failure, Handler, Run};
    /// # use serde_json::Value;
    /// # struct Greet;
    /// # #[derive(serde::Deserialize)] struct Name { first: String, last: String }
    /// # impl Handler for Greet {
    /// # const KIND: &'static str = "greet"; const QUEUE: &'static str = "main";
    /// # const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);
    /// # type Payload = Name;
    /// # async fn run(&self, _: Name, _: Run) -> Result<Done, Failure> { Ok(Done::nothing()) }
    /// const VERSION: i16 = 3;
    ///
    /// fn upcast(version: i16, mut payload: Value) -> Result<Value, BoxError> {
    ///     // 1 was the bare name, 2 had no last name.
    ///     if version == 1 {
    ///         payload = serde_json::json!({ "first": payload });
    ///     }
    ///     payload["last"] = Value::from("");
    ///     Ok(payload)
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// Any error ends the task as failed with the class `payload`.
    fn upcast(version: i16, payload: Value) -> Result<Value, BoxError> {
        let _ = payload;
        Err(format!("version {version} of the payload is not known any more").into())
    }

    /// Does one task. Any error is a retry by the policy; a panic and a timeout are too.
    fn run(&self, payload: Self::Payload, run: Run) -> impl Future<Output = Result<Done, Failure>> + Send;
}

pub(crate) type Running = Pin<Box<dyn Future<Output = Result<Done, Failure>> + Send>>;

pub(crate) trait AnyHandler: Send + Sync {
    fn start(self: Arc<Self>, run: Run) -> Running;
}

struct Typed<H>(H);

impl<H: Handler> AnyHandler for Typed<H> {
    fn start(self: Arc<Self>, run: Run) -> Running {
        Box::pin(async move {
            let payload = read::<H>(run.version(), run.payload()).inspect_err(|failure| {
                // No handler is there to tell of this attempt.
                tracing::error!(
                    task_id = run.task_id().0,
                    kind = H::KIND,
                    attempt = run.attempt(),
                    outcome = "failed",
                    error.class = failure.class(),
                    "attempt"
                );
            })?;
            self.0.run(payload, run).await
        })
    }
}

/// The payload of a task as its handler wants it. A newer version than the handler's never comes this far.
pub(crate) fn read<H: Handler>(version: i16, text: &str) -> Result<H::Payload, Failure> {
    let no_payload = |error: &dyn Display| {
        Failure::fail("payload", format!("the payload is no {} payload: {error}", H::KIND))
    };
    if version == H::VERSION {
        return serde_json::from_str(text).map_err(|error| no_payload(&error));
    }
    let older = serde_json::from_str(text).map_err(|error| no_payload(&error))?;
    let newer = H::upcast(version, older).map_err(|error| no_payload(&error))?;
    serde_json::from_value(newer).map_err(|error| no_payload(&error))
}

/// A handler with its constants as values.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) kind: &'static str,
    pub(crate) queue: &'static str,
    pub(crate) version: i16,
    pub(crate) timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) completion: Completion,
    pub(crate) handler: Arc<dyn AnyHandler>,
}

impl Registered {
    pub(crate) fn new<H: Handler>(handler: H) -> Self {
        Self {
            kind: H::KIND,
            queue: H::QUEUE,
            version: H::VERSION,
            timeout: H::TIMEOUT,
            retry: H::RETRY,
            completion: H::COMPLETION,
            handler: Arc::new(Typed(handler)),
        }
    }
}
