//! Kind -> step, one line each.

use super::{
    close::Close, collect::Collect, mix::Mix, music::Music, render::Render, stitch::Stitch, verify::Verify,
};
use crate::context::Context;
use spool_queue::WorkerBuilder;
use std::sync::Arc;

/// Registers every step.
pub(crate) fn register(worker: WorkerBuilder, ctx: &Arc<Context>) -> WorkerBuilder {
    worker
        .handler(Render(ctx.clone()))
        .handler(Music(ctx.clone()))
        .handler(Collect(ctx.clone()))
        .handler(Stitch(ctx.clone()))
        .handler(Mix(ctx.clone()))
        .handler(Verify(ctx.clone()))
        .handler(Close(ctx.clone()))
}
