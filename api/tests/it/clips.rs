//! /videos/{job}/clips: single scenes, their pictures, and bytes by their digest.

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use spool_db::media::{self, MediaRow};
use spool_db::predictions::{self, End, NewIntent, Slot};
use spool_db::{scenes, soundtracks};
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use spool_job::state::SceneState;
use spool_media::key::Digest;
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{BASE, TestApp, id_of, photo, start};
use crate::assets::{mp4, wav};
use crate::videos::completed;

/// Stores bytes and writes them down.
async fn stored(app: &TestApp, bytes: Vec<u8>, content_type: &str) -> String {
    let chunk = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(bytes))]);
    let stored = app.state.store.put_stream(chunk, u64::MAX).await.expect("stored");
    let row = MediaRow {
        digest: stored.digest.to_string(),
        bytes: stored.bytes as i64,
        content_type: content_type.to_owned(),
        width: None,
        height: None,
        duration_ms: Some(2000),
    };
    let mut conn = app.pool.acquire().await.expect("a connection");
    media::record(&mut conn, &row).await.expect("recorded");
    row.digest
}

/// Gives the first scene of a job a clip, and the job a stretch of music and a soundtrack; ids of scene and stretch.
pub(crate) async fn with_clip(app: &TestApp, job_id: i64) -> (Uuid, Uuid) {
    let clip = stored(app, mp4(app).await, "video/mp4").await;
    let music = stored(app, wav(), "audio/wav").await;
    let mut conn = app.pool.acquire().await.expect("a connection");
    let scene = scenes::list(&mut conn, job_id).await.expect("scenes").remove(0);
    for (state, digest) in [(SceneState::Processing, None), (SceneState::Completed, Some(clip.as_str()))] {
        assert!(scenes::move_to(&mut conn, scene.id, 1, state, digest, None).await.expect("moved"));
    }
    let stretch = Uuid::now_v7();
    let new = NewIntent {
        id: stretch,
        slot: Slot { job_id, purpose: Purpose::Music, scene: None, ordinal: 0 },
        attempt: 1,
        task_id: 1,
        lease_token: 1,
        provider: "replicate",
        model: "meta/musicgen",
        input: &json!({}),
        input_digest: &music,
        memo_key: &music,
        media: &json!({}),
        unit: "second",
        unit_price: Micros(1),
        list: Micros(4),
        estimate: Micros(4),
    };
    predictions::intend(&mut conn, &new).await.expect("the intent");
    predictions::submitted(&mut conn, stretch, "ext-music", false).await.expect("submitted");
    let end = End {
        state: PredictionState::Succeeded,
        output_url: Some("https://cdn/x.wav"),
        units: Some(4.0),
        cost: Micros(4),
        failure: None,
    };
    predictions::ended(&mut conn, stretch, &end).await.expect("ended");
    predictions::collected(&mut conn, stretch, &music).await.expect("collected");
    soundtracks::keep(&mut conn, job_id, &music).await.expect("kept");
    (scene.id, stretch)
}

fn ours(link: &Value) -> String {
    link.as_str().and_then(|link| link.strip_prefix(BASE)).expect("a link of ours").to_owned()
}

#[sqlx::test(migrations = false)]
async fn clips_by_all_their_names(pool: PgPool) {
    let app = start(pool).await;
    let job = completed(&app, b"a film").await;
    let other = completed(&app, b"another film").await;
    let (scene, _) = with_clip(&app, job).await;
    let clip = mp4(&app).await;
    let tag = format!("\"{}\"", Digest::of(&clip));
    for name in [scene.to_string(), format!("{scene}.mp4"), format!("clip_{scene}.mp4")] {
        let path = format!("/api/v3/videos/{job}/clips/{name}");
        let whole = app.get(&path).await;
        assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, clip.len()), "{name}");
        assert_eq!((whole.header("content-type"), whole.header("etag")), ("video/mp4", tag.as_str()));
        assert!(whole.header("content-disposition").contains(&format!("clip_{scene}.mp4")));
        let part = app.get_with(&path, "range", "bytes=-10").await;
        assert_eq!((part.status.as_u16(), &part.body[..]), (206, &clip[clip.len() - 10..]));
        app.get_with(&path, "range", "bytes=99999999-").await.is_problem(416, "invalid_range");
        assert_eq!(app.get_with(&path, "if-none-match", &tag).await.status, 304);
        let head = app.request(Method::HEAD, &path).body(Body::empty()).expect("a request");
        let head = app.send(head).await;
        assert_eq!((head.header("content-length"), head.body.len()), (clip.len().to_string().as_str(), 0));
    }
    for (path, status, code) in [
        (format!("/api/v3/videos/{job}/clips/x.mp4"), 400, "invalid_id"),
        (format!("/api/v3/videos/{job}/clips/{}.mp4", Uuid::nil()), 404, "not_found"),
        (format!("/api/v3/videos/{other}/clips/{scene}.mp4"), 404, "not_found"),
        (format!("/api/v3/videos/{other}/clips/{scene}.mp4/thumbnail"), 404, "not_found"),
    ] {
        app.get(&path).await.is_problem(status, code);
    }
    // A scene without a clip.
    let waiting = app.get(&format!("/api/v3/jobs/{other}/scenes")).await.is(200);
    assert_eq!(
        (&waiting["scenes"][0]["video_url"], &waiting["scenes"][0]["has_video"]),
        (&Value::Null, &json!(false))
    );
    let waiting = id_of(&waiting["scenes"][0]["id"]);
    app.get(&format!("/api/v3/videos/{other}/clips/{waiting}")).await.is_problem(404, "not_found");
    // The links in the scenes open without a key.
    let shown = app.get(&format!("/api/v3/jobs/{job}/scenes/{scene}")).await.is(200);
    assert_eq!(app.get_bare(&ours(&shown["scene"]["video_url"])).await.body, clip);
    let frame = app.get_bare(&ours(&shown["scene"]["thumbnail_url"])).await;
    assert_eq!((frame.status.as_u16(), frame.header("content-type")), (200, "image/jpeg"));
}

#[sqlx::test(migrations = false)]
async fn a_clips_picture_is_made_once(pool: PgPool) {
    let app = start(pool).await;
    let job = completed(&app, b"a film").await;
    let (scene, _) = with_clip(&app, job).await;
    let path = format!("/api/v3/videos/{job}/clips/{scene}/thumbnail");
    let made = app.get(&path).await;
    assert_eq!((made.status.as_u16(), made.header("content-type")), (200, "image/jpeg"));
    assert!(made.body.starts_with(b"\xff\xd8\xff"));
    let mut conn = app.pool.acquire().await.expect("a connection");
    let clip =
        scenes::get(&mut conn, scene).await.expect("read").expect("there").clip_digest.expect("a clip");
    let kept = media::thumbnail_of(&mut conn, &clip).await.expect("read").expect("kept");
    assert_eq!(made.header("etag"), format!("\"{}\"", kept.digest));
    // Where the clip itself is gone from the store, the kept picture still is there: nothing is made again.
    media::keep_thumbnail(&mut conn, &clip, &clip).await.expect("the first one stays");
    assert_eq!(media::thumbnail_of(&mut conn, &clip).await.expect("read").expect("kept").digest, kept.digest);
    assert_eq!(app.get(&path).await.body, made.body);
    assert_eq!(app.get_with(&path, "if-none-match", made.header("etag")).await.status, 304);
}

#[sqlx::test(migrations = false)]
async fn only_addresses_that_name_their_content_are_kept_for_good(pool: PgPool) {
    let app = start(pool).await;
    let job = completed(&app, b"a film").await;
    let asset = app.get("/api/v3/assets?limit=1").await.is(200)["data"][0].clone();
    let by_digest = ours(&asset["contentUrl"]);
    assert!(by_digest.contains(asset["digest"].as_str().expect("a digest")));
    let answer = app.get_bare(&by_digest).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, photo("terrace-sunset.jpg"));
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.header("cache-control").contains("immutable"));
    // A key does not open it: a digest says nothing about whose bytes they are.
    let bare = by_digest.split('?').next().expect("a path");
    app.get(bare).await.is_problem(401, "bad_signature");
    for path in [
        format!("/api/v3/videos/{job}/combined"),
        format!("/api/v3/videos/{job}/thumbnail"),
        ours(&asset["url"]),
        ours(&asset["thumbnailUrl"]),
    ] {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.header("cache-control").contains("immutable"), "{path}");
    }
}
