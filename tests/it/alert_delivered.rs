//! From a fault at the provider to somebody who is told, and back: simulator, metrics, Prometheus with our rules, Alertmanager with our
//! settings, a webhook. Every length of time in rules and settings is a sixtieth, a minute is a second: what is seen here in one minute
//! takes an hour in earnest. Nothing else is changed.

use serde_json::{Value, json};
use std::path::Path;
use system_tests::alertmanager::Alertmanager;
use system_tests::prometheus::{self, Prometheus};
use system_tests::receiver::Receiver;
use system_tests::system::{Options, System};
use system_tests::wait;

/// How much faster than in earnest.
const TIMES: u64 = 60;
/// The receiver of `grafana/alertmanager.yaml`.
const RECEIVER: &str = "http://127.0.0.1:9095/";

/// A length of time as Prometheus writes it, such as `15m`, at this test's pace; none for any other word.
fn faster(word: &str) -> Option<String> {
    let (number, unit) = word.split_at(word.find(|letter: char| !letter.is_ascii_digit())?);
    let milliseconds = match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    Some(format!("{}ms", number * milliseconds / TIMES))
}

/// A text in which every length of time that follows one of these marks is a sixtieth: up to what is no letter or digit.
fn all_faster(text: &str, marks: &[&str]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = marks.iter().filter_map(|mark| Some(rest.find(mark)? + mark.len())).min() {
        let (before, after) = rest.split_at(at);
        let end = after.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(after.len());
        let (word, behind) = after.split_at(end);
        out.push_str(before);
        out.push_str(faster(word).as_deref().unwrap_or(word));
        rest = behind;
    }
    out + rest
}

/// Our rules at this test's pace: `for: 2m` and ranges such as `[5m]`.
fn rules_into(folder: &Path) {
    for entry in std::fs::read_dir(prometheus::rules()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "yaml") {
            let text = std::fs::read_to_string(&path).expect("rules");
            let name = path.file_name().expect("a name");
            std::fs::write(folder.join(name), all_faster(&text, &["for: ", "[", "interval: "]))
                .expect("written");
        }
    }
}

/// Our settings at this test's pace, with another receiver.
fn settings(receiver: &str) -> String {
    let text = include_str!("../../grafana/alertmanager.yaml");
    assert!(text.contains(RECEIVER), "the receiver of the settings is another one now");
    all_faster(text, &["group_wait: ", "group_interval: ", "repeat_interval: "]).replace(RECEIVER, receiver)
}

#[test]
fn only_lengths_of_time_are_changed() {
    let rule = "increase(x_total{a=~\"b|c\"}[30m]) > 20 # runs:p95_5m[1d], {$labels[0]}\nfor: 2m\nfor: ever";
    let faster = all_faster(rule, &["for: ", "["]);
    assert_eq!(
        faster,
        "increase(x_total{a=~\"b|c\"}[30000ms]) > 20 # runs:p95_5m[1440000ms], {$labels[0]}\nfor: 2000ms\nfor: ever"
    );
    assert!(settings("http://here/").contains("{url: 'http://here/', send_resolved: true}"));
    assert!(settings("x").contains("group_wait: 500ms"), "{}", settings("x"));
}

/// Alerts of this name that came in this state, with the message that each came in.
fn delivered(receiver: &Receiver, name: &str, severity: &str, status: &str) -> Vec<Value> {
    let messages = receiver.received("/people").into_iter().map(|message| message.json());
    let alerts = messages.flat_map(|message| message["alerts"].as_array().cloned().unwrap_or_default());
    let is_it = |alert: &Value| {
        let labels = &alert["labels"];
        labels["alertname"] == name && labels["severity"] == severity && alert["status"] == status
    };
    alerts.filter(is_it).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_of_an_outage_of_the_provider_and_of_its_end() {
    let env = vec![("SPOOL_SUBMIT_SETTLE_SECONDS", "4".into())];
    let system = System::start(&Options { workers: 1, speed: 60.0, cheap_media: true, env }).await;
    let (receiver, rules) = (Receiver::start().await, tempfile::tempdir().expect("a folder"));
    rules_into(rules.path());
    let alertmanager = Alertmanager::start(&system, &settings(&receiver.url("/people"))).await;
    let prometheus = Prometheus::start(&system, rules.path(), Some(&alertmanager.url)).await;

    // Before the outage: somebody buys, the breaker is known to be closed, and nobody is told that it is open.
    let campaign = system.campaign().await;
    let first = system.small_job(&campaign, json!({})).await;
    assert_eq!(system.finished(first).await["status"], "completed");
    wait::until("the closed breaker to be seen", async || {
        let seen = prometheus.range("max(spool_breaker_open{model=\"*\"})").await;
        (!seen.is_empty()).then_some(())
    })
    .await;
    assert!(delivered(&receiver, "BreakerOpen", "warning", "firing").is_empty());

    for route in ["create", "get", "list", "cancel"] {
        let unavailable = json!({"kind": "http_error", "status": 503, "when": "before"});
        system.fault(json!({"match": {"route": route}, "times": "always", "fault": unavailable})).await;
    }
    let mut waiting = Vec::new();
    for _ in 0..6 {
        waiting.push(system.small_job(&campaign, json!({})).await);
    }
    let told = wait::until("word of the open breaker", async || {
        delivered(&receiver, "BreakerOpen", "warning", "firing").into_iter().next()
    })
    .await;
    assert_eq!(told["labels"]["model"], "google/veo-3.1-fast", "{told}");
    let runbook = told["annotations"]["runbook"].as_str().expect("a runbook");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(runbook));
    assert!(text.expect("the page is there").starts_with("# BreakerOpen: "), "{runbook}");
    assert!(
        told["annotations"]["summary"].as_str().is_some_and(|summary| summary.contains("replicate")),
        "{told}"
    );
    assert!(delivered(&receiver, "BreakerOpen", "warning", "resolved").is_empty(), "it is not over yet");

    system.no_faults().await;
    let over = wait::until("word that it is over", async || {
        delivered(&receiver, "BreakerOpen", "warning", "resolved").into_iter().next()
    })
    .await;
    assert_eq!(over["fingerprint"], told["fingerprint"], "the same one");
    for id in waiting {
        assert_eq!(system.finished(id).await["status"], "completed", "nothing fails for an outage");
    }
    assert!(delivered(&receiver, "Watchdog", "none", "firing").is_empty(), "the watchdog is for nobody here");
    system.stop().await;
}
