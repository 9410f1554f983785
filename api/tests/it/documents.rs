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

#[sqlx::test(migrations = false)]
async fn the_reference_page_takes_nothing_from_elsewhere(pool: PgPool) {
    let app = start(pool).await;
    let page = app.get_bare("/api/docs").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    let html = String::from_utf8(page.body.clone()).expect("text");
    assert!(!html.contains("//"), "an address of another server: {html}");
    let links = html.split("=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let files: Vec<&str> =
        links.filter(|link| link.starts_with("docs/") || *link == "openapi.json").collect();
    assert_eq!(files, ["docs/docs.css", "docs/docs.js", "openapi.json"]);
    for file in files {
        let answer = app.get_bare(&format!("/api/{file}")).await;
        assert_eq!(answer.status, 200, "{file}");
        let again = app.get_with(&format!("/api/{file}"), "if-none-match", answer.header("etag")).await;
        assert_eq!(again.status, 304, "{file}");
    }
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("sandbox"), "{policy}");
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
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let mut named: Vec<&str> = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .filter_map(|parameter| parameter["name"].as_str())
                .collect();
            let mut wanted: Vec<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
            named.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(named, wanted, "parameters in the path of {what}");
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses.keys().any(|status| status.starts_with('2')), "{what}");
            for (status, response) in responses {
                assert!(
                    response["description"].as_str().is_some_and(|text| !text.is_empty()),
                    "{what} {status}"
                );
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
                    || ["/approve", "/cancel", "/duplicate", "/ping", "/deliveries/{id}/resend"]
                        .iter()
                        .any(|end| path.ends_with(end)),
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

/// `[`name`](../path)` in docs/security.md is a test of that name in that file, and a row without one gives a reason.
#[test]
fn every_weakness_on_the_security_page_has_its_test_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/security.md")).expect("the page");
    let mut rows = 0;
    for row in
        page.lines().filter(|line| ["| E: ", "| P: ", "| both: "].iter().any(|who| line.starts_with(who)))
    {
        rows += 1;
        let why = row.rsplit("| ").next().unwrap_or_default();
        let tests = why.split("[`").skip(1).filter_map(|link| link.split_once("`](../"));
        let mut named = 0;
        for (name, rest) in tests {
            let (path, _) = rest.split_once(')').expect("a closed link");
            let file =
                std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            let test = file.split(&format!("fn {name}(")).next().filter(|before| before.len() < file.len());
            let before = test.unwrap_or_else(|| panic!("{path} has no {name}"));
            let attributes = before.rsplit("\n\n").next().unwrap_or_default();
            assert!(attributes.contains("test"), "{name} in {path} is no test");
            named += 1;
        }
        assert!(named > 0 || why.split(' ').count() > 4, "neither a test nor a reason: {row}");
    }
    // As many as the inventory of the older systems counts.
    assert!(rows >= 62, "only {rows} weaknesses");
}
