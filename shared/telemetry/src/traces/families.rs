//! Keeps what belongs together in one process together: a span that others in this process hang below is sent with all of them, when
//! the last has ended, or not at all. A process that is killed in the middle leaves no span without its parent.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanId, TraceContextExt};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// The attribute of a first span that is not worth sending.
pub(super) const LEFT_OUT: &str = "spool.left_out";
/// A family that has grown beyond this is sent in parts: memory comes first.
const LARGEST: usize = 512;

/// Stands before the processor that sends.
#[derive(Debug)]
pub(super) struct Families<P> {
    next: P,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// The first span of the family of each that is open.
    first_of: HashMap<SpanId, SpanId>,
    families: HashMap<SpanId, Family>,
}

#[derive(Debug, Default)]
struct Family {
    open: usize,
    ended: Vec<SpanData>,
    left_out: bool,
}

impl<P> Families<P> {
    pub(super) fn new(next: P) -> Self {
        Self { next, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn begin(&mut self, span: SpanId, parent: Option<SpanId>) {
        let first = parent.and_then(|parent| self.first_of.get(&parent).copied()).unwrap_or(span);
        self.first_of.insert(span, first);
        self.families.entry(first).or_default().open += 1;
    }

    /// What may be sent now.
    fn end(&mut self, span: SpanData) -> Vec<SpanData> {
        let id = span.span_context.span_id();
        let Some(first) = self.first_of.remove(&id) else { return vec![span] };
        let Some(family) = self.families.get_mut(&first) else { return vec![span] };
        family.open = family.open.saturating_sub(1);
        family.left_out |= first == id && span.attributes.iter().any(|one| one.key.as_str() == LEFT_OUT);
        family.ended.push(span);
        if family.open > 0 && family.ended.len() < LARGEST {
            return Vec::new();
        }
        let left_out = family.left_out;
        let ended = std::mem::take(&mut family.ended);
        if family.open == 0 {
            self.families.remove(&first);
        }
        if left_out { Vec::new() } else { ended }
    }
}

impl<P: SpanProcessor> SpanProcessor for Families<P> {
    fn on_start(&self, span: &mut Span, around: &Context) {
        let parent = around.span().span_context().clone();
        let here = (parent.is_valid() && !parent.is_remote()).then(|| parent.span_id());
        self.open().begin(span.span_context().span_id(), here);
        self.next.on_start(span, around);
    }

    fn on_end(&self, span: SpanData) {
        let ready = self.open().end(span);
        for span in ready {
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}
