//! /admin/spend: reports as JSON and CSV, and the waste ledger.

use serde_json::{Value, json};
use spool_db::keys::Scope;
use spool_db::predictions::{self, End};
use spool_job::money::Micros;
use spool_job::prediction::PredictionState;
use sqlx::PgPool;

use crate::app::{TestApp, start};
use crate::media::prediction;

const SPEND: &str = "/api/v3/admin/spend";

/// A job whose clip was bought for a micro-dollar.
async fn bought(app: &TestApp) {
    let (id, _) = prediction(app).await;
    let mut conn = app.pool.acquire().await.expect("a connection");
    predictions::submitted(&mut conn, id, "ext", false).await.expect("submitted");
    let end = End {
        state: PredictionState::Succeeded,
        output_url: Some("https://cdn/x.mp4"),
        units: Some(4.0),
        cost: Micros(1),
        failure: None,
    };
    predictions::ended(&mut conn, id, &end).await.expect("ended");
}

#[sqlx::test(migrations = false)]
async fn reports_in_both_formats(pool: PgPool) {
    let app = start(pool).await;
    bought(&app).await;
    for (by, rows) in [("day", 1), ("client", 1), ("campaign", 1), ("model", 1)] {
        let report = app.get(&format!("{SPEND}?by={by}")).await.is(200);
        assert_eq!(report["data"].as_array().map(Vec::len), Some(rows), "{report}");
        assert_eq!((&report["meta"]["by"], &report["meta"]["zone"]), (&json!(by), &json!("UTC")));
        assert_eq!(report["meta"]["settled"], json!({"micros": 1, "dollars": 0.000_001}));
        assert_eq!(report["data"][0]["settled"]["micros"], 1);
        let csv = app.get(&format!("{SPEND}?by={by}&format=csv")).await;
        assert_eq!((csv.status.as_u16(), csv.header("content-type")), (200, "text/csv; charset=utf-8"));
        let text = String::from_utf8_lossy(&csv.body).into_owned();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        let key = report["data"][0]["key"].as_str().expect("a key");
        let name = report["data"][0]["name"].as_str().unwrap_or_default();
        assert_eq!((lines.len(), lines[0][0], lines[0].len()), (2, by, 9), "{text}");
        assert_eq!(lines[1][..4], [key, name, "1", "0.000001"], "{text}");
    }
    let answer = app.get(&format!("{SPEND}?by=model&format=csv")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(
        String::from_utf8_lossy(&answer.body),
        "model,name,settled_micros,settled_dollars,reserved_micros,reserved_dollars,purchases,\
         beside_ledger_micros,beside_ledger_dollars\r\n\
         google/veo-3.1-fast,,1,0.000001,0,0.000000,1,0,0.000000\r\n"
    );
    let empty = app.get(&format!("{SPEND}?by=day&from=2020-01-01&to=2020-01-31")).await.is(200);
    assert_eq!((&empty["data"], &empty["meta"]["settled"]["micros"]), (&json!([]), &json!(0)));
}

#[sqlx::test(migrations = false)]
async fn waste_adds_up_and_stands_in_the_metrics(pool: PgPool) {
    let app = start(pool).await;
    bought(&app).await;
    let waste = app.get(&format!("{SPEND}/waste")).await.is(200);
    let classes: Vec<&str> =
        waste["data"].as_array().expect("a list").iter().filter_map(|one| one["class"].as_str()).collect();
    assert_eq!(classes, ["useful", "duplicate", "orphaned", "late_cancelled", "failed"]);
    assert_eq!(waste["data"][0]["settled"]["micros"], 1);
    assert_eq!(waste["data"][0]["share"].as_f64(), Some(1.0));
    assert_eq!(
        (&waste["meta"]["settled"]["micros"], &waste["meta"]["wasted"]["micros"]),
        (&json!(1), &json!(0))
    );

    let text = String::from_utf8(app.get_bare("/metrics").await.body).expect("is text");
    for line in [
        "spool_spend_class_micros{class=\"useful\"} 1",
        "spool_budget_headroom_micros{scope=\"all\",period=\"day\",limit=\"soft\"} 99999999",
        "spool_budget_headroom_micros{scope=\"all\",period=\"day\",limit=\"hard\"} 149999999",
        "spool_budget_soft_passed{scope=\"all\",period=\"day\"} 0",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("spool_budget_headroom_micros{scope=\"job\""), "there is no such budget: {text}");
}

#[sqlx::test(migrations = false)]
async fn what_cannot_be_reported_is_refused(pool: PgPool) {
    let app = start(pool).await;
    for query in [
        "",
        "?by=week",
        "?by=day&format=xml",
        "?by=day&from=yesterday",
        "?by=day&from=2026-11-21&to=2026-11-20",
        "?by=day&from=0001-01-01",
        "/waste?to=99999-01-01",
        "/waste?from=2026-13-01",
    ] {
        let refused: Value = app.get(&format!("{SPEND}{query}")).await.is_problem(400, "invalid_query");
        assert!(refused["detail"].as_str().is_some_and(|text| text.len() > 20), "{query}: {refused}");
    }
    let writer = TestApp { key: app.new_key(&[Scope::Write], None).await, ..app };
    writer.get(&format!("{SPEND}?by=day")).await.is_problem(403, "forbidden");
    writer.get(&format!("{SPEND}/waste")).await.is_problem(403, "forbidden");
}
