//! Says once when spans cannot be sent, and once when they can again. Whatever happens to them, nothing waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// Tells how the exporter in it fares.
#[derive(Debug)]
pub(super) struct Telling<E> {
    inner: E,
    failing: AtomicBool,
}

impl<E> Telling<E> {
    pub(super) fn new(inner: E) -> Self {
        Self { inner, failing: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for Telling<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.inner.export(batch).await;
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_failing => {
                tracing::warn!(%error, count, "spans cannot be sent: they are dropped until the collector takes them");
            }
            Ok(()) if was_failing => tracing::info!(count, "spans are sent again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
