//! A collector: takes OTLP over HTTP as protobuf and keeps the spans.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Span {
    /// 32 hex digits.
    pub trace: String,
    /// 16 hex digits.
    pub id: String,
    /// Empty for the first of a trace.
    pub parent: String,
    /// What it is called.
    pub name: String,
    /// 0 to 5, as OTLP numbers them.
    pub kind: i32,
    /// Nanoseconds since 1970.
    pub began: u64,
    /// Nanoseconds since 1970.
    pub ended: u64,
    /// Ids of the spans it is linked to.
    pub links: Vec<String>,
    /// Attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether it says that it failed.
    pub failed: bool,
    /// The program that made it.
    pub service: String,
    /// The process that made it.
    pub pid: String,
}

/// Listens until the test ends.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Base address.
    pub address: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    /// On a free port.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let collector = Self { address, spans: Arc::default() };
        let app = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        collector
    }

    /// All that came so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("no panic").clone()
    }

    /// Those of a trace.
    pub fn of(&self, trace: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.trace == trace).collect()
    }
}

async fn take(State(collector): State<Collector>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let mut spans = collector.spans.lock().expect("no panic");
    for of_process in request.resource_spans {
        let resource = of_process.resource.map(|resource| texts(&resource.attributes)).unwrap_or_default();
        let said = |name: &str| resource.get(name).cloned().unwrap_or_default();
        for span in of_process.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                kind: span.kind,
                began: span.start_time_unix_nano,
                ended: span.end_time_unix_nano,
                links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
                attributes: texts(&span.attributes),
                failed: span.status.is_some_and(|status| status.code == 2),
                service: said("service.name"),
                pid: said("process.pid"),
            });
        }
    }
    StatusCode::OK
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|one| (one.key.clone(), text(one.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(yes)) => yes.to_string(),
        other => format!("{other:?}"),
    }
}
