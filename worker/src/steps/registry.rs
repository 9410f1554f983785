//! Kind -> step, one line each.

use super::{
    close::Close, collect::Collect, mix::Mix, music::Music, orphans::Orphans, recall::Recall, render::Render,
    stitch::Stitch, verify::Verify,
};
use crate::context::Context;
use crate::meter::Metered;
use spool_queue::WorkerBuilder;
use std::sync::Arc;

/// Registers every step.
pub(crate) fn register(worker: WorkerBuilder, ctx: &Arc<Context>) -> WorkerBuilder {
    worker
        .handler(Metered(Render(ctx.clone())))
        .handler(Metered(Music(ctx.clone())))
        .handler(Metered(Collect(ctx.clone())))
        .handler(Metered(Recall(ctx.clone())))
        .handler(Metered(Orphans(ctx.clone())))
        .handler(Metered(Stitch(ctx.clone())))
        .handler(Metered(Mix(ctx.clone())))
        .handler(Metered(Verify(ctx.clone())))
        .handler(Metered(Close(ctx.clone())))
}
