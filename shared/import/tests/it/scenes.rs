//! The Python system's `scenes.db`, generation by generation.

use crate::here::{Here, How, digest, id, jpeg, mp3, mp4};
use crate::scenes_database::{asset, campaign, client, first, first_assets, second, third};
use serde_json::{Value, json};
use spool_import::System;
use sqlx::PgPool;

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn first_generation_with_files(pool: PgPool) {
    let here = Here::new(pool);
    first_assets(&first(&here.file()));
    let report = here.import(System::Scenes, How::default()).await;
    assert!(report.generation.starts_with("first"));
    // Without the folder, what is only named waits.
    assert_eq!(
        (report.table("client_assets").unwrap().waiting, report.table("campaign_assets").unwrap().waiting),
        (1, 1)
    );
    assert!(!report.is_complete());

    let files = tempfile::tempdir().unwrap();
    std::fs::create_dir(files.path().join("uploads")).unwrap();
    std::fs::write(files.path().join("uploads/logo.jpg"), jpeg(11, 5_000)).unwrap();
    std::fs::write(files.path().join("uploads/old.mp4"), mp4(12, 5_000)).unwrap();
    let report = here.import(System::Scenes, How { files: Some(files.path()), ..How::default() }).await;
    assert_eq!(
        (report.table("client_assets").unwrap().carried, report.table("campaign_assets").unwrap().waiting),
        (1, 1)
    );
    let logo = here.value(&format!("SELECT * FROM assets WHERE id = '{}'", asset(1))).await;
    assert_eq!((&logo["name"], &logo["digest"]), (&json!("logo"), &json!(digest(&jpeg(11, 5_000)))));
    assert_eq!((&logo["client_id"], &logo["source_url"]), (&json!(client()), &Value::Null));
    here.has_bytes(&jpeg(11, 5_000));
    let again = here.import(System::Scenes, How { files: Some(files.path()), ..How::default() }).await;
    assert_eq!(again.table("client_assets").unwrap().already, 1);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn people_briefs_and_films_of_the_first_days(pool: PgPool) {
    let here = Here::new(pool);
    first(&here.file());
    let report = here.import(System::Scenes, How::default()).await;
    assert!(report.is_complete(), "{report}");

    let found = here.value(&format!("SELECT * FROM clients WHERE id = '{}'", client())).await;
    assert_eq!(
        (&found["name"], &found["brand_guidelines"]),
        (&json!("Rentals"), &json!("{\"tone\":\"calm\"}"))
    );
    assert_eq!(
        here.value("SELECT name FROM clients WHERE name LIKE 'Unnamed%'").await["name"],
        json!("Unnamed Client")
    );
    assert_eq!(
        here.value("SELECT target_id FROM imported_rows WHERE row_id = 'acme'").await["target_id"]
            .as_str()
            .map(str::len),
        Some(36)
    );
    let found = here.value("SELECT state, why, document FROM imported_rows WHERE table_name = 'campaigns' AND row_id = 'lost'").await;
    assert_eq!((&found["state"], &found["document"]["name"]), (&json!("beside"), &json!("Lost")));

    let brief = here.value("SELECT * FROM briefs").await;
    assert_eq!(
        (&brief["id"], &brief["prompt"], &brief["confidence_score"]),
        (&json!(id(5, 1)), &json!("a lake house"), &json!(0.8))
    );
    assert_eq!(
        (&brief["creative_direction"], &brief["scenes"]),
        (&json!({"style": "warm"}), &json!([{"n": 1}]))
    );
    assert_eq!(brief["image_digest"], json!(digest(&jpeg(501, 800))));

    let film = here.value("SELECT * FROM jobs WHERE id = 3").await;
    assert_eq!(
        (&film["type"], &film["state"], &film["video_name"]),
        (&json!("prompt"), &json!("completed"), &json!("waves at dawn"))
    );
    assert_eq!(film["video_digest"], json!(digest(&mp4(3, 40_000))));
    assert_eq!(film["thumbnail_digest"], json!(digest(&jpeg(303, 900))));
    here.has_bytes(&mp4(3, 40_000));
    let metrics =
        here.value("SELECT views, clicks, ctr, conversions FROM video_metrics WHERE job_id = 3").await;
    assert_eq!(metrics, json!({"views": 100, "clicks": 7, "ctr": 0.07, "conversions": 2}));
    let scene = here.value("SELECT * FROM scenes WHERE job_id = 3").await;
    assert_eq!((&scene["prompt"], &scene["state"]), (&json!("waves at dawn"), &json!("completed")));
    let bought = here.value("SELECT l.micros, l.campaign_id, l.at, p.external_id FROM ledger l JOIN predictions p ON p.id = l.prediction_id").await;
    assert_eq!((&bought["micros"], &bought["external_id"]), (&json!(1_200_000), &json!("pred3")));
    assert_eq!(
        (&bought["campaign_id"], &bought["at"]),
        (&json!(campaign()), &json!("2025-11-15T09:00:00+00:00"))
    );
    let failed = here.value("SELECT state, error, client_id FROM jobs WHERE id = 4").await;
    assert_eq!(failed, json!({"state": "failed", "error": "took too long", "client_id": null}));
    let rest = here
        .value("SELECT document FROM imported_rows WHERE table_name = 'generated_videos' AND row_id = '3'")
        .await["document"]
        .clone();
    assert_eq!(
        (&rest["download_count"], &rest["metadata"]),
        (&json!(9), &json!("{\"replicate_id\": \"pred3\", \"odd\": true}"))
    );
    // Names of people in the place of clients were a bug of theirs; they are kept all the same.
    let rest = here
        .value("SELECT document FROM imported_rows WHERE table_name = 'generated_videos' AND row_id = '4'")
        .await["document"]
        .clone();
    assert_eq!((&rest["client_id"], &rest["status"]), (&json!("ada"), &json!("timeout")));
    // Budgets do not count what was spent before they were.
    assert_eq!(
        here.value("SELECT sum(settled_micros)::bigint AS n FROM budget_periods").await["n"],
        json!(0)
    );
    let everything = here.everything().await;
    assert!(!everything.contains("$2b$") && everything.contains("laptop"));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn second_generation_with_a_table_of_blobs(pool: PgPool) {
    let here = Here::new(pool);
    second(&here.file());
    let report = here.import(System::Scenes, How::default()).await;
    assert!(report.generation.starts_with("second"));
    let blobs = report.table("asset_blobs").unwrap();
    assert_eq!((blobs.rows, blobs.carried, blobs.beside), (3, 2, 1), "{report}");
    let found = here.value(&format!("SELECT * FROM assets WHERE id = '{}'", asset(1))).await;
    assert_eq!(
        (&found["digest"], &found["thumbnail_digest"]),
        (&json!(digest(&jpeg(1, 1500))), &json!(digest(&jpeg(2, 1500))))
    );
    assert_eq!(
        (&found["tags"], &found["source_url"]),
        (&json!(["pier"]), &json!("https://example.com/p.jpg"))
    );
    assert_eq!(found["inserted_at"], json!("2025-11-15T09:00:00+00:00"));
    let found = here.value(&format!("SELECT * FROM assets WHERE id = '{}'", asset(2))).await;
    assert_eq!(
        (&found["name"], &found["tags"], &found["campaign_id"]),
        (&json!("again.jpg"), &json!(["a", "b"]), &Value::Null)
    );
    let found =
        here.value(&format!("SELECT state, why FROM imported_rows WHERE row_id = '{}'", asset(3))).await;
    assert_eq!(found["state"], json!("beside"));
    // Nobody names the third blob, and it is here.
    for n in 1..=3 {
        here.has_bytes(&jpeg(n, 1500));
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn third_generation_with_jobs_of_pairs(pool: PgPool) {
    let here = Here::new(pool);
    third(&here.file());
    let report = here.import(System::Scenes, How::default()).await;
    assert!(report.generation.starts_with("third"));
    for n in 10..14 {
        let found = here.value(&format!("SELECT digest FROM assets WHERE id = '{}'", asset(n))).await;
        assert_eq!(found["digest"], json!(digest(&jpeg(n, 1200))));
    }
    let document =
        here.value(&format!("SELECT state, why FROM imported_rows WHERE row_id = '{}'", asset(14))).await;
    assert_eq!(document["state"], json!("beside"));
    here.has_bytes(b"%PDF-1.7 terms");
    let sound = here
        .value("SELECT a.*, m.duration_ms FROM assets a JOIN media m USING (digest) WHERE type = 'audio'")
        .await;
    assert_eq!((&sound["digest"], &sound["duration_ms"]), (&json!(digest(&mp3(1, 2_000))), &json!(8500)));
    assert_eq!(sound["metadata"]["generated"]["model_id"], json!("meta/musicgen"));
    let picture = here.value("SELECT * FROM assets WHERE name = 'a pier'").await;
    assert_eq!((&picture["campaign_id"], &picture["client_id"]), (&json!(campaign()), &json!(client())));

    let job = here.value("SELECT * FROM jobs WHERE id = 20").await;
    assert_eq!(
        (&job["type"], &job["state"], &job["partial"]),
        (&json!("image_pairs"), &json!("completed"), &json!(true))
    );
    assert_eq!(
        (&job["video_name"], &job["spec"]["model"]),
        (&json!("Lake film"), &json!("minimax/hailuo-02"))
    );
    let scenes = here.value("SELECT jsonb_agg(jsonb_build_array(id, state, prompt, duration_ms, first_asset_id, last_asset_id, clip_digest) ORDER BY index) AS all FROM scenes WHERE job_id = 20").await;
    let expected = json!([
        [id(6, 21), "completed", "view 1", 6000, asset(10), asset(11), digest(&mp4(21, 7_000))],
        [id(6, 22), "failed", "view 2", 6000, asset(10), asset(11), null],
    ]);
    assert_eq!(scenes["all"], expected);
    let spent = here
        .value("SELECT sum(micros)::bigint AS spent, count(*) AS rows FROM ledger WHERE job_id = 20")
        .await;
    assert_eq!(spent, json!({"spent": 370_000, "rows": 1}), "the parts are counted, not the sum again");
    let kept = here
        .value(&format!(
            "SELECT target, target_id, document FROM imported_rows WHERE row_id = '{}'",
            id(7, 21)
        ))
        .await;
    assert_eq!((&kept["target"], &kept["target_id"]), (&json!("scenes"), &json!(id(6, 21))));
    assert_eq!(
        (&kept["document"]["script"], &kept["document"]["transition"]),
        (&json!("script"), &json!("fade"))
    );
    here.has_bytes(&mp4(21, 7_000));

    // Each row of the file is counted once, and is in the register.
    for table in &report.tables {
        let sum = table.carried + table.already + table.beside + table.waiting + table.changed;
        assert_eq!(sum, table.rows, "{}", table.table);
        let registered = here
            .value(&format!("SELECT count(*) AS n FROM imported_rows WHERE table_name = '{}'", table.table))
            .await;
        assert_eq!(registered["n"], json!(table.rows), "{}", table.table);
    }
}
