//! The OpenAPI document: served, complete, and the one that is checked in.

use std::path::Path;

use serde_json::Value;
use sqlx::PgPool;

use crate::app::start;

#[sqlx::test(migrations = false)]
async fn served_under_both_names(pool: PgPool) {
    let app = start(pool).await;
    let answer = app.get_bare("/api/openapi.json").await;
    let document = answer.is(200);
    assert_eq!(document, app.get_bare("/api/openapi").await.is(200));
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let again = app.get_with("/api/openapi.json", "if-none-match", answer.header("etag")).await;
    assert_eq!(again.status, 304);
}

#[test]
fn the_checked_in_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let made = spool_api::openapi::to_text(&spool_api::router::document()).expect("is JSON");
    assert!(
        kept == made,
        "docs/openapi.json is stale: run `cargo run -p spool-api -- openapi > docs/openapi.json`"
    );
}

#[test]
fn every_operation_is_described_in_full() {
    let document = serde_json::to_value(spool_api::router::document()).expect("is JSON");
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let what = format!("{method} {path}");
            for member in ["operationId", "summary", "tags"] {
                assert!(!operation[member].is_null(), "{what} has no {member}");
            }
            ids.push(operation["operationId"].as_str().expect("an id").to_owned());
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses.keys().any(|status| status.starts_with('2')), "{what}");
            for (status, response) in responses {
                let is_error =
                    status.starts_with('4') || (status.starts_with('5') && !path.ends_with("readyz"));
                assert!(
                    !is_error || response["content"]["application/problem+json"].is_object(),
                    "{what} {status}"
                );
            }
            assert_eq!(
                method != "get" && method != "delete",
                !operation["requestBody"].is_null()
                    || ["/approve", "/cancel", "/duplicate"].iter().any(|end| path.ends_with(end)),
                "{what}"
            );
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are unique");
    every_reference_leads_somewhere(&document, &document);
}

fn every_reference_leads_somewhere(value: &Value, document: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').expect("a local reference");
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            members.values().for_each(|value| every_reference_leads_somewhere(value, document));
        }
        Value::Array(items) => {
            for item in items {
                every_reference_leads_somewhere(item, document);
            }
        }
        _ => {}
    }
}

/// `[`name`](../path)` in docs/security.md is a test of that name in that file.
#[test]
fn every_test_that_the_security_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/security.md")).expect("the page");
    let mut named = 0;
    for link in page.split("[`").skip(1) {
        let Some((name, rest)) = link.split_once("`](../") else { continue };
        let (path, _) = rest.split_once(')').expect("a closed link");
        let file = std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(file.contains(&format!("fn {name}(")), "{path} has no test {name}");
        named += 1;
    }
    assert!(named > 80, "only {named} tests are named");
}
