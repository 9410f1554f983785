//! The trait that a step implements, and its form without types.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;

use crate::{
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
    /// How a plain outcome is written.
    const COMPLETION: Completion = Completion::Batched;
    /// What a task carries.
    type Payload: DeserializeOwned + Send;

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
            let payload = serde_json::from_str(run.payload()).map_err(|error| {
                Failure::fail("payload", format!("the payload is no {} payload: {error}", H::KIND))
            })?;
            self.0.run(payload, run).await
        })
    }
}

/// A handler with its constants as values.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) kind: &'static str,
    pub(crate) queue: &'static str,
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
            timeout: H::TIMEOUT,
            retry: H::RETRY,
            completion: H::COMPLETION,
            handler: Arc::new(Typed(handler)),
        }
    }
}
