//! /assets: uploads are told by their bytes, measured, decoded, and stored by content.

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use spool_media::key::Digest;
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{BASE, Form, TestApp, id_of, photo, start};

async fn campaign(app: &TestApp) -> (Uuid, Uuid) {
    let client = app.client("A").await;
    (client, app.campaign(client, "Lodge").await)
}

/// Half a second of silence.
pub(crate) fn wav() -> Vec<u8> {
    let samples: u32 = 8_000;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + samples * 2).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(16_000u32.to_le_bytes());
    wav.extend(32_000u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend((samples * 2).to_le_bytes());
    wav.resize(wav.len() + samples as usize * 2, 0);
    wav
}

/// Two seconds of moving picture.
pub(crate) async fn mp4(app: &TestApp) -> Vec<u8> {
    let folder = app.state.store.scratch().folder().expect("a folder");
    let path = folder.path().join("clip.mp4");
    let source = "testsrc2=size=320x180:rate=24:duration=2";
    let args =
        ["-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", "-movflags", "+faststart"].map(String::from);
    let args = args.into_iter().chain([path.display().to_string()]).collect::<Vec<_>>();
    app.state.ffmpeg.run(&args, std::time::Duration::from_secs(60)).await.expect("a clip");
    std::fs::read(path).expect("the clip")
}

#[sqlx::test(migrations = false)]
async fn a_picture_is_stored_shown_and_served(pool: PgPool) {
    let app = start(pool).await;
    let (client, campaign) = campaign(&app).await;
    let bytes = photo("terrace-sunset.jpg");
    let form = Form::new()
        .text("campaignId", &campaign.to_string())
        .file("../../terrace sunset.jpg", &bytes)
        .text("tags", "terrace, sunset")
        .text("caption", "Evening");
    let asset = app.post_form("/api/v3/assets", form).await.is(201)["data"].clone();
    assert_eq!(asset["clientId"], json!(client), "filled in from the campaign");
    assert_eq!(asset["campaignId"], json!(campaign));
    assert_eq!(asset["name"], "terrace sunset.jpg", "a name, not a path");
    assert_eq!(asset["type"], "image");
    assert_eq!(asset["format"], "jpeg");
    assert_eq!(asset["size"], bytes.len());
    assert_eq!(asset["tags"], json!(["terrace", "sunset"]));
    assert_eq!(asset["description"], "Evening");
    assert_eq!(asset["digest"], Digest::of(&bytes).as_str());
    assert!(asset["width"].as_i64() > Some(0) && asset["height"].as_i64() > Some(0));
    assert_eq!(asset["userId"], Value::Null);
    assert!(asset.get("duration").is_none() && asset.get("waveformUrl").is_none());
    let id = id_of(&asset["id"]);

    assert_eq!(app.get(&format!("/api/v3/assets/{id}")).await.is(200)["data"], asset);
    let data = app.get(&format!("/api/v3/assets/{id}/data")).await;
    assert_eq!(data.status, StatusCode::OK);
    assert_eq!(data.body, bytes);
    assert_eq!(data.header("content-type"), "image/jpeg");
    assert_eq!(data.header("etag"), format!("\"{}\"", Digest::of(&bytes)));
    assert!(data.header("content-disposition").contains("terrace sunset.jpg"));
    assert_eq!(data.header("x-content-type-options"), "nosniff");

    // The links in the body open without a key.
    for (field, content_type) in [("url", "image/jpeg"), ("thumbnailUrl", "image/jpeg")] {
        let link = asset[field].as_str().and_then(|link| link.strip_prefix(BASE)).expect("a link of ours");
        let answer = app.get_bare(link).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, content_type), "{field}");
        assert!(answer.body.starts_with(b"\xff\xd8\xff"));
    }
    let thumbnail = app.get(&format!("/api/v3/assets/{id}/thumbnail")).await;
    assert!(thumbnail.body.len() < bytes.len());
}

#[sqlx::test(migrations = false)]
async fn sound_and_video_have_a_length(pool: PgPool) {
    let app = start(pool).await;
    let (client, _) = campaign(&app).await;
    let form =
        |name: &str, bytes: &[u8]| Form::new().text("client_id", &client.to_string()).file(name, bytes);
    let sound = app.post_form("/api/v3/assets", form("hush.wav", &wav())).await.is(201)["data"].clone();
    assert_eq!((&sound["type"], &sound["duration"]), (&json!("audio"), &json!(0.5)));
    assert_eq!((&sound["waveformUrl"], &sound["thumbnailUrl"]), (&Value::Null, &Value::Null));
    assert_eq!(sound["campaignId"], Value::Null);
    app.get(&format!("/api/v3/assets/{}/thumbnail", id_of(&sound["id"]))).await.is_problem(404, "not_found");

    let clip = mp4(&app).await;
    let video = app.post_form("/api/v3/assets", form("clip.bin", &clip)).await.is(201)["data"].clone();
    assert_eq!((&video["type"], &video["duration"]), (&json!("video"), &json!(2.0)));
    assert_eq!((&video["width"], &video["height"]), (&json!(320), &json!(180)));
    assert!(video["thumbnailUrl"].is_string());

    // Cut off: the index at its front still promises two seconds.
    let cut = &clip[..clip.len() * 2 / 3];
    app.post_form("/api/v3/assets", form("cut.mp4", cut)).await.is_problem(400, "bad_media");

    let list = app.get(&format!("/api/v3/assets?clientId={client}")).await.is(200);
    assert_eq!((&list["meta"]["total"], &list["meta"]["limit"]), (&json!(2), &json!(25)));
    assert_eq!(list["data"][0]["type"], "video", "newest first");
    for query in ["type=audio", "asset_type=audio", "assetType=audio"] {
        let list = app.get(&format!("/api/v3/assets?{query}")).await.is(200);
        assert_eq!((&list["meta"]["total"], &list["data"][0]["id"]), (&json!(1), &sound["id"]), "{query}");
    }
}

#[sqlx::test(migrations = false)]
async fn what_is_no_media_is_refused(pool: PgPool) {
    let app = start(pool).await;
    let (_, campaign) = campaign(&app).await;
    let form = || Form::new().text("campaign_id", &campaign.to_string());
    let whole = photo("terrace-sunset.jpg");
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bomb.extend([0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50, 8, 2, 0, 0, 0, 0, 0, 0, 0]);
    for (name, bytes) in [
        ("page.jpg", &b"<!doctype html><script>alert(1)</script>"[..]),
        ("vector.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        ("paper.pdf", b"%PDF-1.7\n"),
        ("program.mp4", b"MZ\x90\0\x03\0\0\0"),
        ("empty.jpg", b""),
        ("head.jpg", &whole[..200]),
        ("cut.jpg", &whole[..whole.len() / 2]),
        ("bomb.png", &bomb),
    ] {
        let problem =
            app.post_form("/api/v3/assets", form().file(name, bytes)).await.is_problem(400, "bad_media");
        assert!(!problem.to_string().contains("/.scratch/"), "no path of ours is told: {problem}");
    }
    let claimed = form().text("type", "video").file("a.jpg", &whole);
    let problem = app.post_form("/api/v3/assets", claimed).await.is_problem(422, "validation_failed");
    assert!(problem["details"]["type"].is_array());
    assert_eq!(app.get("/api/v3/assets").await.is(200)["meta"]["total"], 0);
}

/// Its index is as it was: only a decoder finds out.
#[sqlx::test(migrations = false)]
async fn a_whole_container_of_garbage_is_refused(pool: PgPool) {
    let app = start(pool).await;
    let (_, campaign) = campaign(&app).await;
    let form = |bytes: &[u8]| Form::new().text("campaign_id", &campaign.to_string()).file("tone.m4a", bytes);
    let folder = app.state.store.scratch().folder().expect("a folder");
    let path = folder.path().join("tone.m4a");
    let args = ["-f", "lavfi", "-i", "sine=duration=2", "-movflags", "+faststart"].map(String::from);
    let args = args.into_iter().chain([path.display().to_string()]).collect::<Vec<_>>();
    app.state.ffmpeg.run(&args, std::time::Duration::from_secs(60)).await.expect("a tone");
    let mut bytes = std::fs::read(path).expect("the tone");
    app.post_form("/api/v3/assets", form(&bytes)).await.is(201);
    let media = bytes.windows(4).position(|four| four == b"mdat").expect("its media come last") + 4;
    bytes[media..].fill(0x5a);
    app.post_form("/api/v3/assets", form(&bytes)).await.is_problem(400, "bad_media");
    assert_eq!(app.get("/api/v3/assets").await.is(200)["meta"]["total"], 1);
}

#[sqlx::test(migrations = false)]
async fn requests_that_cannot_be_are_refused(pool: PgPool) {
    let app = start(pool).await;
    let (_, campaign) = campaign(&app).await;
    let other = app.client("B").await;
    let photo = photo("terrace-sunset.jpg");
    app.post_form("/api/v3/assets", Form::new().text("campaign_id", &campaign.to_string()))
        .await
        .is_problem(400, "no_source");
    app.post("/api/v3/assets", json!({"campaign_id": campaign})).await.is_problem(400, "no_source");
    for (form, field) in [
        (Form::new(), "campaign_id"),
        (Form::new().text("campaign_id", "x"), "campaign_id"),
        (Form::new().text("campaign_id", &Uuid::nil().to_string()), "campaign_id"),
        (Form::new().text("client_id", &Uuid::nil().to_string()), "client_id"),
        (
            Form::new().text("campaign_id", &campaign.to_string()).text("client_id", &other.to_string()),
            "client_id",
        ),
        (Form::new().text("campaign_id", &campaign.to_string()).text("type", "document"), "type"),
        (Form::new().text("campaign_id", &campaign.to_string()).text("metadata", "[1]"), "metadata"),
    ] {
        let problem = app
            .post_form("/api/v3/assets", form.file("a.jpg", &photo))
            .await
            .is_problem(422, "validation_failed");
        assert!(problem["details"][field].is_array(), "{field}: {problem}");
    }
    let plain = app.request(Method::POST, "/api/v3/assets").header("content-type", "text/plain");
    app.send(plain.body(Body::from("x")).expect("a request")).await.is_problem(415, "unsupported_media_type");
    let bare = app.request(Method::POST, "/api/v3/assets").header("content-type", "multipart/form-data");
    app.send(bare.body(Body::from("x")).expect("a request")).await.is_problem(400, "bad_request");
    let (content_type, mut body) = Form::new().file("a.jpg", &photo).finish();
    body.truncate(body.len() / 2);
    let cut = app.request(Method::POST, "/api/v3/assets").header("content-type", content_type);
    app.send(cut.body(Body::from(body)).expect("a request")).await.is_problem(400, "bad_request");
    let two = Form::new().file("a.jpg", &photo).file("b.jpg", &photo);
    app.post_form("/api/v3/assets", two).await.is_problem(400, "bad_request");

    // Announced too large: refused before a byte is read.
    let huge =
        app.request(Method::POST, "/api/v3/assets").header("content-type", "multipart/form-data; boundary=b");
    let huge = huge.header("content-length", (600u64 << 20).to_string());
    app.send(huge.body(Body::empty()).expect("a request")).await.is_problem(413, "payload_too_large");
    app.get(&format!("/api/v3/assets/{}", Uuid::nil())).await.is_problem(404, "not_found");
    app.get(&format!("/api/v3/assets/{}/data", Uuid::nil())).await.is_problem(404, "not_found");
}
