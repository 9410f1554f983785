//! /videos: ranges, conditions, HEAD, signed links.

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::json;
use spool_db::jobs::{self, Conclusion};
use spool_db::media::{self, MediaRow};
use spool_media::key::Digest;
use sqlx::PgPool;

use crate::app::{BASE, TestApp, start};

/// A completed job whose video is these bytes.
pub(crate) async fn completed(app: &TestApp, video: &[u8]) -> i64 {
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4});
    let id = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201)["job_id"].as_i64().expect("an id");
    let chunk =
        |bytes: &[u8]| futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(bytes))]);
    let mut tx = app.pool.begin().await.expect("a transaction");
    for (bytes, content_type) in [(video, "video/mp4"), (&b"\xff\xd8\xff a frame"[..], "image/jpeg")] {
        let stored = app.state.store.put_stream(chunk(bytes), u64::MAX).await.expect("stored");
        let row = MediaRow {
            digest: stored.digest.to_string(),
            bytes: stored.bytes as i64,
            content_type: content_type.to_owned(),
            width: None,
            height: None,
            duration_ms: None,
        };
        media::record(&mut tx, &row).await.expect("recorded");
    }
    jobs::mixed(&mut tx, id, Digest::of(video).as_str(), true).await.expect("mixed");
    jobs::verified(&mut tx, id, Digest::of(b"\xff\xd8\xff a frame").as_str(), &json!({}))
        .await
        .expect("verified");
    tx.commit().await.expect("committed");
    app.get(&format!("/api/v3/videos/{id}/combined")).await.is_problem(404, "not_found");
    let mut conn = app.pool.acquire().await.expect("a connection");
    jobs::conclude(&mut conn, id, &Conclusion::Completed).await.expect("concluded");
    id
}

fn film() -> Vec<u8> {
    (0..100_000u32).map(|at| (at % 251) as u8).collect()
}

#[sqlx::test(migrations = false)]
async fn whole_and_in_parts(pool: PgPool) {
    let app = start(pool).await;
    let film = film();
    let id = completed(&app, &film).await;
    let path = format!("/api/v3/videos/{id}/combined");
    let whole = app.get(&path).await;
    assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, film.len()));
    assert_eq!(whole.header("content-type"), "video/mp4");
    assert_eq!(whole.header("content-length"), "100000");
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(whole.header("content-disposition").contains("Lodge 1.mp4"));
    assert!(whole.header("cache-control").contains("no-cache"), "a new revision puts another video here");
    let tag = format!("\"{}\"", Digest::of(&film));
    assert_eq!(whole.header("etag"), tag);

    for (range, start, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=99990-", 99_990, 100_000),
        ("bytes=-10", 99_990, 100_000),
        ("bytes=99990-200000", 99_990, 100_000),
        ("bytes=-200000", 0, 100_000),
    ] {
        let part = app.get_with(&path, "range", range).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(part.header("content-range"), format!("bytes {start}-{}/100000", end - 1));
        assert_eq!(part.header("content-length"), (end - start).to_string());
        assert_eq!(part.body, film[start..end], "{range}");
    }
    for ignored in ["bytes=0-1,5-6", "items=0-1", "bytes=x", "bytes=5-2"] {
        let answer = app.get_with(&path, "range", ignored).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, film.len()), "{ignored}");
    }
    for past in ["bytes=100000-", "bytes=-0"] {
        let answer = app.get_with(&path, "range", past).await;
        assert_eq!(answer.header("content-range"), "bytes */100000");
        answer.is_problem(416, "invalid_range");
    }
}

#[sqlx::test(migrations = false)]
async fn conditions_and_head(pool: PgPool) {
    let app = start(pool).await;
    let film = film();
    let id = completed(&app, &film).await;
    let path = format!("/api/v3/videos/{id}/combined");
    let tag = format!("\"{}\"", Digest::of(&film));
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let answer = app.get_with(&path, "if-none-match", &known).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0), "{known}");
        assert_eq!(answer.header("etag"), tag);
    }
    for (if_range, status) in
        [(tag.as_str(), 206), ("\"other\"", 200), ("Sat, 21 Nov 2026 10:00:00 GMT", 200)]
    {
        let request =
            app.request(Method::GET, &path).header("range", "bytes=0-9").header("if-range", if_range);
        let answer = app.send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(answer.status.as_u16(), status, "{if_range}");
    }
    let head = app.request(Method::HEAD, &path).header("range", "bytes=0-9");
    let head = app.send(head.body(Body::empty()).expect("a request")).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!((head.header("content-length"), head.header("etag")), ("100000", tag.as_str()));
}

#[sqlx::test(migrations = false)]
async fn links_open_without_a_key_for_a_time(pool: PgPool) {
    let app = start(pool).await;
    let id = completed(&app, &film()).await;
    let answer = app.get(&format!("/api/v3/jobs/{id}")).await;
    assert_eq!(answer.header("retry-after"), "", "nothing more will happen");
    let job = answer.is(200);
    assert_eq!((&job["status"], &job["progress_percentage"]), (&json!("completed"), &json!(100)));
    let link =
        |field: &str| job[field].as_str().and_then(|link| link.strip_prefix(BASE)).expect("ours").to_owned();
    let (video, thumbnail) = (link("video_url"), link("thumbnail_url"));
    assert_eq!(app.get_bare(&video).await.status, StatusCode::OK);
    let frame = app.get_bare(&thumbnail).await;
    assert_eq!((frame.status, frame.header("content-type")), (StatusCode::OK, "image/jpeg"));

    // It opens its own path only, unchanged, for reading.
    let query = video.split_once('?').expect("a query").1;
    app.get_bare(&format!("/api/v3/videos/{}/combined?{query}", id + 1))
        .await
        .is_problem(401, "bad_signature");
    app.get_bare(&format!("/api/v3/jobs/{id}?{query}")).await.is_problem(401, "unauthorized");
    app.get_bare(&format!("{video}x")).await.is_problem(401, "bad_signature");
    let later = video.replacen("exp=", "exp=9", 1);
    app.get_bare(&later).await.is_problem(401, "bad_signature");
    app.get_bare(&format!("/api/v3/videos/{id}/combined?exp=1&sig=")).await.is_problem(401, "bad_signature");

    app.clock.advance(chrono::TimeDelta::hours(23));
    assert_eq!(app.get_bare(&video).await.status, StatusCode::OK);
    app.clock.advance(chrono::TimeDelta::hours(2));
    app.get_bare(&video).await.is_problem(401, "bad_signature");
    // A poller that held on to the old links sees new ones: they are part of the tag.
    let again = app.get_with(&format!("/api/v3/jobs/{id}"), "if-none-match", answer.header("etag")).await;
    let renewed = again.is(200)["video_url"].as_str().expect("a link").to_owned();
    assert_eq!(app.get_bare(renewed.strip_prefix(BASE).expect("ours")).await.status, StatusCode::OK);
}

#[sqlx::test(migrations = false)]
async fn there_is_no_video_before_the_job_is_completed(pool: PgPool) {
    let app = start(pool).await;
    for path in ["/api/v3/videos/4711/combined", "/api/v3/videos/4711/thumbnail"] {
        assert_eq!(app.get(path).await.is_problem(404, "not_found")["job_id"], 4711);
    }
}
