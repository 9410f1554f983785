//! Kind -> step, one line each.

use super::{
    close::Close, collect::Collect, deliver::Deliver, hook_log::HookLog, mix::Mix, music::Music,
    orphans::Orphans, recall::Recall, render::Render, stitch::Stitch, verify::Verify,
};
use crate::attempt::Attempt;
use crate::context::Context;
use crate::meter::Metered;
use spool_queue::WorkerBuilder;
use std::sync::Arc;

/// Registers every step.
pub(crate) fn register(worker: WorkerBuilder, ctx: &Arc<Context>) -> WorkerBuilder {
    worker
        .handler(Attempt(Metered(Render(ctx.clone()))))
        .handler(Attempt(Metered(Music(ctx.clone()))))
        .handler(Attempt(Metered(Collect(ctx.clone()))))
        .handler(Attempt(Metered(Recall(ctx.clone()))))
        .handler(Attempt(Metered(Orphans(ctx.clone()))))
        .handler(Attempt(Metered(Stitch(ctx.clone()))))
        .handler(Attempt(Metered(Mix(ctx.clone()))))
        .handler(Attempt(Metered(Verify(ctx.clone()))))
        .handler(Attempt(Metered(Close(ctx.clone()))))
        .handler(Attempt(Metered(Deliver(ctx.clone()))))
        .handler(Attempt(Metered(HookLog(ctx.clone()))))
}
