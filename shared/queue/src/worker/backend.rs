//! The queue as apalis sees it: a stream of claimed tasks that never fails, and a service that runs them.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::Task,
    worker::context::WorkerContext,
};
use futures::{FutureExt, future::BoxFuture};
use tokio::sync::mpsc;
use tower::{Service, layer::util::Identity};

use crate::worker::{
    completer::Ended,
    core::{Claimed, Core, Lane},
    execute::execute,
};

/// One queue. An error here would make apalis drop whatever runs, so there is none: the claimer keeps trouble to itself.
pub(crate) struct LaneBackend {
    tasks: mpsc::Receiver<Task<Claimed>>,
}

impl LaneBackend {
    pub(crate) const fn new(tasks: mpsc::Receiver<Task<Claimed>>) -> Self {
        Self { tasks }
    }
}

impl Backend for LaneBackend {
    type Task = Task<Claimed>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<Claimed>, Infallible>>> {
        self.tasks.poll_recv(cx).map(|task| task.map(Ok))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for LaneBackend {
    type Args = Claimed;
    type Id = i64;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}

/// Runs each task in a tokio task of its own, so that one that blocks, panics or is dropped leaves the others alone.
pub(crate) struct LaneService {
    pub(crate) core: Arc<Core>,
    pub(crate) lane: Arc<Lane>,
    pub(crate) ended: mpsc::Sender<Ended>,
}

impl Service<Task<Claimed>> for LaneService {
    type Response = ();
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Claimed>) -> Self::Future {
        let running = tokio::spawn(execute(
            Arc::clone(&self.core),
            Arc::clone(&self.lane),
            self.ended.clone(),
            task.args,
        ));
        running.map(|_| Ok(())).boxed()
    }
}
