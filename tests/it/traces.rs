//! A film is one trace, over all processes, and stays one when a worker is killed in the middle.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::armed::Armed;
use system_tests::otlp::{Collector, Span};
use system_tests::system::{Options, System};
use system_tests::wait;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// What the processes of a system with traces are started with.
fn env(collector: &Collector) -> Vec<(&'static str, String)> {
    vec![
        ("SPOOL_OTLP_ENDPOINT", collector.address.clone()),
        // Sent soon, so that a test need not wait.
        ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
    ]
}

/// Asks for a film in the name of the caller's span; its number.
async fn film(system: &System, more: Value) -> i64 {
    let mut body = json!({"campaign_id": system.campaign().await, "clip_duration": 4, "num_pairs": 2, "resolution": "720p",
                          "reuse": false, "auto_approve": true});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    let answer = system
        .http
        .request(Method::POST, format!("{}/api/v3/jobs/from-image-pairs", system.ready.api))
        .header("x-api-key", &system.ready.key)
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .json(&body)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 201);
    let job: Value = answer.json().await.expect("JSON");
    job["job_id"].as_i64().expect("a number")
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn has_ended(span: &Span) -> bool {
    span.attributes.get("outcome").is_some_and(|outcome| outcome == "succeeded")
}

/// Once everything was sent: `close` is the last, and the webhooks come when they like.
async fn whole_trace(collector: &Collector) -> Vec<Span> {
    wait::until("the end of the trace", async || {
        let spans = collector.of(TRACE);
        let closed = named(&spans, "close").into_iter().any(has_ended);
        (closed && !named(&spans, "webhook").is_empty() && named(&spans, "verify").len() == 1)
            .then_some(spans)
    })
    .await
}

/// Every span hangs below another of the trace, but for the one that the caller's stands above.
fn is_one_tree(spans: &[Span]) {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "each span was sent once");
    for span in spans {
        let expected =
            if span.parent == CALLER { "POST /api/v3/jobs/from-image-pairs" } else { span.name.as_str() };
        assert_eq!(span.name, expected);
        assert!(span.parent == CALLER || ids.contains(span.parent.as_str()), "nothing above {span:?}");
        assert!(span.began <= span.ended, "{span:?}");
    }
    assert_eq!(spans.iter().filter(|span| span.parent == CALLER).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_one_trace_over_all_processes() {
    let collector = Collector::start().await;
    let options = Options { workers: 2, cheap_media: true, env: env(&collector), ..Options::default() };
    let system = System::start(&options).await;
    let id = film(&system, json!({})).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    let spans = whole_trace(&collector).await;
    is_one_tree(&spans);
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let above = |span: &Span| by_id[span.parent.as_str()].name.clone();

    // The request, and what it enqueued.
    let request = named(&spans, "POST /api/v3/jobs/from-image-pairs")[0];
    assert_eq!((request.service.as_str(), request.kind, request.failed), ("spool-api", 2, false));
    assert_eq!(request.attributes["http.response.status_code"], "201");
    let enqueue = named(&spans, "enqueue");
    assert_eq!(enqueue.len(), 1);
    assert_eq!(enqueue[0].parent, request.id);

    // What the workers did of it, each step below it.
    for (name, times) in [("collect", 4), ("stitch", 1), ("mix", 1), ("verify", 1), ("provider wait", 4)] {
        let found = named(&spans, name);
        let found: Vec<_> = found.into_iter().filter(|span| above(span) == "enqueue").collect();
        assert_eq!(found.len(), times, "{name}");
        assert!(found.iter().all(|span| span.service == "spool-worker" && !span.failed), "{name}: {found:?}");
    }
    for name in ["render", "music", "claim", "close", "webhook"] {
        let found = named(&spans, name);
        assert!(!found.is_empty() && found.iter().all(|span| above(span) == "enqueue"), "{name}: {found:?}");
    }
    let creates = named(&spans, "replicate create");
    assert_eq!(creates.len(), 4, "two clips and two stretches of music");
    assert!(creates.iter().all(|create| matches!(above(create).as_str(), "render" | "music")));
    for part in ["download", "check"] {
        let parts = named(&spans, part);
        assert!(parts.len() == 4 && parts.iter().all(|part| above(part) == "collect"), "{part}: {parts:?}");
    }
    // A wait begins when the provider has the order and is over when a run knows its end.
    for wait in named(&spans, "provider wait") {
        assert!(wait.began >= request.began && wait.attributes["state"] == "succeeded", "{wait:?}");
    }

    // What is made of several things is linked to all of them.
    let made_by: BTreeSet<&str> =
        named(&spans, "stitch")[0].links.iter().map(|link| by_id[link.as_str()].name.as_str()).collect();
    assert_eq!((made_by, named(&spans, "stitch")[0].links.len()), (BTreeSet::from(["collect"]), 2));
    // The provider's request is a trace of its own, with a link each way.
    let webhook = named(&spans, "webhook")[0];
    assert_eq!((webhook.service.as_str(), webhook.links.len()), ("spool-api", 1));
    let linked = wait::until("the webhook's request", async || {
        collector.spans().into_iter().find(|span| span.id == webhook.links[0])
    })
    .await;
    assert_eq!(
        (linked.name.as_str(), linked.links.contains(&webhook.id)),
        ("POST /api/webhooks/replicate", true)
    );

    // Whoever has the job has its trace: dashboards look for the spans with its number, and log lines say the trace, too.
    assert_eq!(enqueue[0].attributes["job_id"], id.to_string());
    let explained = system.get(&format!("/api/v3/jobs/{id}/explain")).await;
    assert_eq!(explained["trace_id"], TRACE, "{explained}");
    let lines = system.lines("worker");
    let told = lines.iter().filter(|line| line["trace_id"] == TRACE && line["job_id"] == id).count();
    assert!(told >= 10, "{told} lines");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_leaves_no_span_without_its_parent() {
    let (collector, armed) = (Collector::start().await, Armed::new());
    let mut env = env(&collector);
    env.push(armed.env());
    let options = Options { workers: 2, cheap_media: true, env, ..Options::default() };
    let system = System::start(&options).await;
    // In the middle of the one step, after a part of it has ended, and at the end of another, before it is written.
    for place in ["Downloaded", "Stitched"] {
        armed.arm(place, "");
    }
    let id = film(&system, json!({"music": false})).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    armed.all_reached("the film is made");
    let spans = whole_trace(&collector).await;
    is_one_tree(&spans);
    for name in ["collect", "stitch"] {
        let found = named(&spans, name);
        let again = found.iter().filter(|span| span.attributes["attempt"] == "2" && has_ended(span));
        // It had the other one at hand, too, or not.
        assert!(again.count() >= 1, "the second attempt is there: {found:?}");
        assert!(found.iter().all(|span| has_ended(span)), "what was killed told nothing: {found:?}");
    }
    system.stop().await;
}
