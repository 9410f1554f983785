//! The Elixir system's database.

use crate::elixir_database::{T1, asset, campaign, client, clip, make, photo};
use crate::here::{Here, How, digest, jpeg, mp3, mp4};
use serde_json::{Value, json};
use spool_import::System;
use sqlx::PgPool;

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn every_row_and_byte_arrives_under_its_id(pool: PgPool) {
    let here = Here::new(pool);
    make(&here.file());
    let report = here.import(System::Elixir, How::default()).await;
    assert!(report.is_complete(), "{report}");
    let counts = |table: &str| {
        let table = report.table(table).unwrap();
        (table.rows, table.carried, table.beside)
    };
    assert_eq!(
        (counts("clients"), counts("campaigns"), counts("assets")),
        ((2, 2, 0), (4, 4, 0), (13, 13, 0))
    );
    assert_eq!((counts("jobs"), counts("sub_jobs"), counts("users")), ((5, 5, 0), (7, 6, 1), (1, 0, 1)));

    let found = here.value(&format!("SELECT * FROM clients WHERE id = '{}'", client(1))).await;
    for (column, expected) in [
        ("name", json!("Client 1")),
        ("description", json!("who")),
        ("homepage", json!("https://example.com")),
        ("metadata", json!({"tier": 1})),
        ("brand_guidelines", json!("blue")),
        ("inserted_at", json!("2025-11-23T10:11:12+00:00")),
        ("updated_at", json!("2025-11-24T11:12:13+00:00")),
    ] {
        assert_eq!(found[column], expected, "{column}");
    }
    let found = here.value(&format!("SELECT * FROM campaigns WHERE id = '{}'", campaign(0))).await;
    assert_eq!((&found["client_id"], &found["brief"]), (&json!(client(0)), &json!({"audience": "families"})));
    assert_eq!(
        (&found["goal"], &found["status"], &found["videos_named"]),
        (&json!("sell"), &json!("active"), &json!(5))
    );
    let found = here.value(&format!("SELECT brief FROM campaigns WHERE id = '{}'", campaign(3))).await;
    assert_eq!(found["brief"], json!("brief 3"));

    for n in 0..12 {
        let found = here.value(&format!("SELECT a.*, m.bytes, m.content_type, m.width, m.height FROM assets a JOIN media m USING (digest) WHERE id = '{}'", asset(n))).await;
        let bytes = photo(n);
        assert_eq!(found["digest"], json!(digest(&bytes)));
        assert_eq!(
            (&found["campaign_id"], &found["client_id"]),
            (&json!(campaign(n % 4)), &json!(client((n % 4) / 2)))
        );
        assert_eq!(
            (&found["name"], &found["tags"]),
            (&json!(format!("photo {n}.jpg")), &json!(["kitchen", "day"]))
        );
        assert_eq!(
            (&found["width"], &found["height"], &found["bytes"]),
            (&json!(640), &json!(480), &json!(2000))
        );
        assert_eq!((&found["content_type"], &found["type"]), (&json!("image/jpeg"), &json!("image")));
        assert_eq!(
            (&found["source_url"], &found["description"]),
            (&json!("https://example.com/a.jpg"), &json!("a room"))
        );
        here.has_bytes(&bytes);
    }
    let song = here.value(&format!("SELECT * FROM assets WHERE id = '{}'", asset(50))).await;
    assert_eq!(
        (&song["type"], &song["client_id"], &song["campaign_id"]),
        (&json!("audio"), &json!(client(1)), &Value::Null)
    );
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn jobs_arrive_ended_or_pending_with_clips_and_music(pool: PgPool) {
    let here = Here::new(pool);
    make(&here.file());
    here.import(System::Elixir, How::default()).await;
    let mut states = Vec::new();
    for number in [5, 6, 7, 8, 9] {
        let job = here
            .value(&format!(
                "SELECT state, error_code, error, progress_percent AS percent FROM jobs WHERE id = {number}"
            ))
            .await;
        states.push((number, job["state"].clone(), job["error_code"].clone()));
        if number == 9 {
            assert_eq!(job["error"], json!("E6716"));
        }
    }
    let expected = [
        (5, json!("failed"), json!("import_video_missing")),
        (6, json!("completed"), Value::Null),
        (7, json!("pending"), Value::Null),
        (8, json!("failed"), json!("import_interrupted")),
        (9, json!("failed"), json!("import_failed_before")),
    ];
    assert_eq!(states, expected);

    let job = here.value("SELECT * FROM jobs WHERE id = 6").await;
    assert_eq!((&job["client_id"], &job["campaign_id"]), (&json!(client(0)), &json!(campaign(0))));
    assert_eq!((&job["video_name"], &job["estimate_micros"]), (&json!("Campaign 0 6"), &json!(3_200_000)));
    assert_eq!((&job["inserted_at"], &job["progress_percent"]), (&json!(format!("{T1}+00:00")), &json!(100)));
    assert_eq!(job["parameters"]["odd"], json!([1]));
    assert_eq!(job["spec"]["model"], json!("google/veo-3.1"));
    for (column, bytes) in [
        ("video_digest", mp4(6, 50_000)),
        ("music_digest", mp3(60, 3_000)),
        ("thumbnail_digest", jpeg(900, 700)),
    ] {
        assert_eq!(job[column], json!(digest(&bytes)), "{column}");
        here.has_bytes(&bytes);
    }
    // The clip that was written first is the first scene.
    for (index, n, title) in [(0, 61, "Shot 0"), (1, 60, "Shot 4")] {
        let scene = here.value(&format!("SELECT * FROM scenes WHERE job_id = 6 AND index = {index}")).await;
        assert_eq!((&scene["id"], &scene["title"]), (&json!(clip(n)), &json!(title)));
        assert_eq!((&scene["state"], &scene["duration_ms"]), (&json!("completed"), &json!(4000)));
        assert_eq!(scene["first_asset_id"], json!(asset(index * 4)));
        assert_eq!(scene["clip_digest"], json!(digest(&mp4(n, 9_000))));
        here.has_bytes(&mp4(n, 9_000));
        let bought = here.value(&format!("SELECT * FROM predictions WHERE scene_id = '{}'", clip(n))).await;
        assert_eq!(
            (&bought["state"], &bought["external_id"]),
            (&json!("succeeded"), &json!(format!("replicate{n}")))
        );
    }
    let scene = here.value(&format!("SELECT state, error FROM scenes WHERE id = '{}'", clip(81))).await;
    assert_eq!(scene["state"], json!("failed"));
    // A clip without a job is kept, and so is what no column of ours takes.
    here.has_bytes(&mp4(99, 5_000));
    let kept = here.value("SELECT * FROM imported_rows WHERE table_name = 'jobs' AND row_id = '6'").await;
    let storyboard: Value = serde_json::from_str(kept["document"]["storyboard"].as_str().unwrap()).unwrap();
    assert_eq!(storyboard["scenes"][0]["transition"], json!("fade"));
    assert_eq!(kept["document"]["progress"], json!({"percentage": 100, "stage": "completed"}));
    let sentence =
        here.value("SELECT document FROM imported_rows WHERE table_name = 'jobs' AND row_id = '5'").await;
    assert_eq!(sentence["document"]["result"], json!("all_renders_completed"));
    // New jobs get numbers above.
    assert_eq!(here.value("SELECT nextval('jobs_id_seq') AS next").await["next"], json!(10));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn people_are_kept_without_their_secrets(pool: PgPool) {
    let here = Here::new(pool);
    make(&here.file());
    let report = here.import(System::Elixir, How::default()).await;
    let kept = here.value("SELECT document FROM imported_rows WHERE table_name = 'users'").await;
    assert_eq!(kept["document"], json!({"id": 1, "username": "ada", "email": "ada@example.com"}));
    assert!(!here.everything().await.contains("$2b$"));
    let columns: Vec<&str> =
        report.table("users").unwrap().columns.iter().map(|column| column.column.as_str()).collect();
    assert!(columns.contains(&"password_hash") && columns.contains(&"api_key_hash"), "{columns:?}");
    assert!(report.table("schema_migrations").unwrap().skipped.is_some());
}
