//! `spool doctor` on whole systems: of a healthy one it says nothing that anybody must act on, of a broken one what is broken.

use serde_json::json;
use system_tests::system::{Options, System};
use system_tests::wait;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_healthy_system_there_is_nothing_to_say() {
    let system = System::start(&Options { cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    let film = system.approved_job(&campaign, json!({})).await;
    let at_work = system.doctor(&["--api", &system.ready.api]).await;
    assert_eq!((at_work.complaints(), at_work.code), (vec![], 0), "while it works");
    assert_eq!(system.finished(film).await["status"], "completed");

    let diagnosis = system.doctor(&["--api", &system.ready.api, "--media", "--strict"]).await;
    assert_eq!((diagnosis.complaints(), diagnosis.code), (vec![], 0));
    let checks: Vec<&str> =
        diagnosis.findings.iter().filter_map(|finding| finding["check"].as_str()).collect();
    for check in [
        "schema",
        "postgres",
        "clock",
        "api",
        "connections",
        "xmin",
        "vacuum",
        "partitions",
        "workers",
        "kinds",
        "backlog",
        "invariants",
        "spending",
        "breakers",
        "doubt",
        "custody",
        "prices",
        "webhooks",
        "keys",
        "settings",
        "media",
    ] {
        assert!(checks.contains(&check), "no {check} among {checks:?}");
    }
    let media = diagnosis.of("media");
    assert!(media[0]["what"].as_str().is_some_and(|what| !what.starts_with("0 files")), "{media:?}");
    // The API looks by itself, and shows it.
    let page = format!("{}/metrics", system.ready.api);
    wait::until("the gauges", async || {
        let text = system.http.get(&page).send().await.ok()?.text().await.ok()?;
        text.contains("spool_invariant_violations{invariant=\"budget_settled\"} 0").then_some(())
    })
    .await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_broken_one_it_says_what_is_broken() {
    let system = System::start(&Options { cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    let job = system.small_job(&campaign, json!({})).await;
    assert_eq!(system.finished(job).await["status"], "completed");
    let pool = system.database().await;
    sqlx::raw_sql("UPDATE budget_periods SET settled_micros = settled_micros + 1; DELETE FROM ledger WHERE kind = 'settle'")
        .execute(&pool)
        .await
        .expect("broken");
    let clip = sqlx::raw_sql("SELECT clip_digest FROM scenes").fetch_one(&pool).await.expect("a scene");
    let clip: String = sqlx::Row::get(&clip, 0);
    let file = system.dir.path().join("media").join(&clip[..2]).join(&clip[2..4]).join(&clip);
    std::fs::remove_file(&file).expect("a stored clip");

    let diagnosis = system.doctor(&["--media"]).await;
    assert_eq!(diagnosis.code, 1);
    let said = format!("{:?}", diagnosis.complaints());
    for part in ["ledger_closed", "budget_settled", "1 media have a row and no file", &clip] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    assert!(diagnosis.complaints().iter().all(|one| one["do"].is_string()), "{said}");
    system.stop().await;
}
