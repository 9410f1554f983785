//! Traces: the way of a request over all processes, as OpenTelemetry spans that are sent by OTLP over HTTP. Off unless an address is
//! set; then each function here returns at once and nothing is kept.
//!
//! A span that goes on in another process is remembered as a W3C `traceparent` with the work: see `spool_job::origin`. Attributes are
//! ids, words and numbers, never texts that a caller or a provider wrote; log lines do not become events of spans.

mod exporter;
mod families;
mod past;
mod spans;
mod w3c;

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::build;
use exporter::Telling;
use families::Families;

pub use past::Past;
pub use spans::{Kind, child, current, during, fail, leave_out, link, note, open};

/// Longest wait for a collector to take a batch. It is the exporter's own thread that waits.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// And for the last batch, when the process ends.
const FAREWELL: Duration = Duration::from_secs(3);
/// Who makes the spans.
const SCOPE: &str = "spool";

/// Of this process, once traces are on.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Where spans go.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TraceArgs {
    /// A collector that takes OTLP over HTTP, such as http://127.0.0.1:4318: traces are sent there. Unset: what
    /// OTEL_EXPORTER_OTLP_ENDPOINT says; without both there are no traces.
    #[arg(long, env = "SPOOL_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
}

/// Settings of traces that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("SPOOL_OTLP_ENDPOINT or an OTEL_EXPORTER_OTLP_ variable cannot be used: {0}")]
pub struct BadTraces(#[from] ExporterBuildError);

/// The traces of this process.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// None.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Turns them on where an address is set. To be called before [`crate::logging::init`], once TLS is chosen.
    pub fn start(args: &TraceArgs, service: &'static str) -> Result<Self, BadTraces> {
        let ours = args.otlp_endpoint.as_deref().map(str::trim).filter(|address| !address.is_empty());
        let usual = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        let disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if disabled || (ours.is_none() && usual.into_iter().all(|name| variable(name).is_none())) {
            return Ok(Self::off());
        }
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT_TIMEOUT);
        if let Some(address) = ours {
            exporter = exporter.with_endpoint(format!("{}/v1/traces", address.trim_end_matches('/')));
        }
        let batches = BatchSpanProcessor::builder(Telling::new(exporter.build()?)).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Families::new(batches))
            .with_resource(resource(service))
            .build();
        Ok(Self(Some(PROVIDER.get_or_init(|| provider).clone())))
    }

    /// Makes spans of ours into spans of traces.
    pub(crate) fn layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.0.as_ref()?.tracer(SCOPE))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_of_a_trace));
        Some(layer)
    }

    /// Sends what is left, but does not wait long for it.
    pub fn end(self) {
        if let Some(provider) = self.0 {
            // A collector that does not answer loses spans, nothing else.
            provider.shutdown_with_timeout(FAREWELL).ok();
        }
    }
}

/// Whether this process has traces.
pub fn is_on() -> bool {
    PROVIDER.get().is_some()
}

/// Our own spans; events stay log lines.
fn is_of_a_trace(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("spool")
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn resource(service: &'static str) -> Resource {
    let mut resource = Resource::builder().with_attributes([
        KeyValue::new("service.version", build::VERSION),
        KeyValue::new("process.pid", i64::from(std::process::id())),
    ]);
    if variable("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(service);
    }
    resource.build()
}
