//! Items 9, 11, 12, 17 and 19: what there is when a job is completed.

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use system_tests::film::{difference, picture, probe};
use system_tests::job::photos;
use system_tests::system::{Options, System};

use super::{JOBS, PAIRS, ask, has, id_of, list, said};

#[tokio::test(flavor = "multi_thread")]
async fn items_9_11_12_17_and_19_films() {
    let system = System::start(&Options { speed: 120.0, ..Options::default() }).await;
    let campaign = system.campaign().await;
    let wish = json!({"campaign_id": campaign, "num_pairs": 2, "clip_duration": 4, "video_model": "veo-3.1-fast", "resolution": "720p"});
    let pending = id_of(&ask(&system, Method::POST, PAIRS, Some(wish.clone()), 201).await);
    let created = ask(&system, Method::POST, PAIRS, Some(wish), 201).await;
    let id = id_of(&created);
    item_12_no_picture_without_a_film(&system, id).await;
    ask(&system, Method::POST, &format!("{JOBS}/{id}/reorder"), Some(json!({"scene_order": [2, 1]})), 200)
        .await;
    ask(&system, Method::POST, &format!("{JOBS}/{id}/approve"), None, 200).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");

    item_9_only_completed_jobs_are_in_the_gallery(&system, &job, pending).await;
    item_11_films_and_clips_by_ranges(&system, id).await;
    item_12_the_picture_is_kept(&system, id).await;
    item_17_music_goes_on_from_the_stretch_before(&system, id).await;
    item_19_the_film_has_the_order_of_the_storyboard(&system, id).await;
    system.stop().await;
}

async fn item_9_only_completed_jobs_are_in_the_gallery(system: &System, job: &Value, pending: i64) {
    let of = async |query: &str| {
        ask(system, Method::GET, &format!("/api/v3/generated-videos?{query}"), None, 200).await
    };
    let all = of("").await;
    has(&all["meta"], "count limit offset total");
    assert_eq!(
        (&all["meta"]["count"], &all["meta"]["limit"], &all["meta"]["offset"]),
        (&json!(1), &json!(25), &json!(0))
    );
    let video = &list(&all, "data")[0];
    has(
        video,
        "job_id video_name status type estimated_cost costs campaign_id client_id inserted_at updated_at storyboard total_duration video_url",
    );
    assert_eq!(
        (&video["job_id"], &video["storyboard"]),
        (&job["job_id"], &job["storyboard"]),
        "for thumbnails"
    );
    assert_eq!(video["total_duration"], job["storyboard"]["total_duration"]);
    for (filter, found) in [
        (format!("job_id={}", job["job_id"]), 1),
        (format!("campaign_id={}", text(&job["campaign_id"])), 1),
        (format!("client_id={}", text(&job["client_id"])), 1),
        (format!("job_id={pending}"), 0),
        ("limit=1&offset=1".to_owned(), 0),
    ] {
        assert_eq!(list(&of(&filter).await, "data").len(), found, "{filter}");
    }
    let link = system.http.get(text(&video["video_url"])).send().await.expect("an answer");
    assert_eq!(link.status(), 200, "a link needs no key");
}

async fn item_11_films_and_clips_by_ranges(system: &System, id: i64) {
    let combined = format!("/api/v3/videos/{id}/combined");
    let film = plays(system, &combined).await;
    let scenes = ask(system, Method::GET, &format!("{JOBS}/{id}/scenes"), None, 200).await;
    let scene = text(&list(&scenes, "scenes")[0]["id"]);
    let clip = plays(system, &format!("/api/v3/videos/{id}/clips/{scene}.mp4")).await;
    assert!(clip.len() < film.len());
    for name in [scene.to_owned(), format!("clip_{scene}.mp4")] {
        let answer = system.request(Method::GET, &format!("/api/v3/videos/{id}/clips/{name}"), None).await;
        assert_eq!(answer.bytes().await.expect("bytes"), clip, "{name}");
    }
    ask(system, Method::GET, &format!("/api/v3/videos/{id}/clips/{scene}.mov"), None, 400).await;
    ask(system, Method::GET, "/api/v3/videos/4711/combined", None, 404).await;
}

/// A whole film: by its length, its name, its tag, and its parts.
async fn plays(system: &System, path: &str) -> Vec<u8> {
    let whole = system.request(Method::GET, path, None).await;
    assert_eq!((whole.status().as_u16(), header(whole.headers(), "content-type")), (200, "video/mp4"));
    let (length, tag) =
        (header(whole.headers(), "content-length").to_owned(), header(whole.headers(), "etag").to_owned());
    let disposition = header(whole.headers(), "content-disposition");
    assert!(disposition.contains("filename=") && disposition.contains(".mp4"), "{disposition}");
    assert_eq!(header(whole.headers(), "accept-ranges"), "bytes");
    let film = whole.bytes().await.expect("bytes").to_vec();
    assert_eq!(length, film.len().to_string());

    let fresh = with(system, path, "if-none-match", &tag).await;
    assert_eq!((fresh.status().as_u16(), header(fresh.headers(), "etag")), (304, tag.as_str()));
    let last = film.len() - 1;
    for (range, start, end) in [
        ("bytes=0-99".to_owned(), 0, 99),
        ("bytes=100-".to_owned(), 100, last),
        ("bytes=-100".to_owned(), last - 99, last),
        (format!("bytes=100-{}", film.len() + 5), 100, last),
    ] {
        let part = with(system, path, "range", &range).await;
        assert_eq!(part.status(), 206, "{range}");
        assert_eq!(header(part.headers(), "content-range"), format!("bytes {start}-{end}/{}", film.len()));
        assert_eq!(part.bytes().await.expect("bytes"), film[start..=end], "{range}");
    }
    let outside = with(system, path, "range", &format!("bytes={}-", film.len())).await;
    assert_eq!(header(outside.headers(), "content-range"), format!("bytes */{}", film.len()));
    assert_eq!(said(outside, 416).await["code"], "invalid_range");
    film
}

async fn item_12_no_picture_without_a_film(system: &System, id: i64) {
    ask(system, Method::GET, &format!("/api/v3/videos/{id}/thumbnail"), None, 404).await;
    ask(system, Method::GET, &format!("/api/v3/videos/{id}/combined"), None, 404).await;
}

async fn item_12_the_picture_is_kept(system: &System, id: i64) {
    let path = format!("/api/v3/videos/{id}/thumbnail");
    let first = system.request(Method::GET, &path, None).await;
    assert_eq!((first.status().as_u16(), header(first.headers(), "content-type")), (200, "image/jpeg"));
    let tag = header(first.headers(), "etag").to_owned();
    let picture = first.bytes().await.expect("bytes");
    let again = system.request(Method::GET, &path, None).await;
    assert_eq!(again.bytes().await.expect("bytes"), picture);
    assert_eq!(with(system, &path, "if-none-match", &tag).await.status(), 304);
    let file = system.dir.path().join("thumbnail.jpg");
    std::fs::write(&file, &picture).expect("written");
    let found = probe(&file).await;
    assert_eq!((&found["streams"][0]["width"], &found["streams"][0]["height"]), (&json!(640), &json!(360)));
}

async fn item_17_music_goes_on_from_the_stretch_before(system: &System, id: i64) {
    // Two stretches, and the provider has fetched the first to go on from it: by an address that needs no key.
    let fetched = system.simulated("input-fetches").await;
    let music: Vec<&Value> = fetched.iter().filter(|one| one["field"] == "input_audio").collect();
    assert_eq!(music.len(), 1, "{fetched:?}");
    assert_eq!(music[0]["ok"], true);
    assert!(text(&music[0]["url"]).starts_with(&system.ready.api), "{}", music[0]);

    let status = ask(system, Method::GET, &format!("/api/v3/audio/status/{id}"), None, 200).await;
    has(&status, "status generated_at size merged_with_video error");
    assert_eq!((&status["status"], &status["merged_with_video"]), (&json!("completed"), &json!(true)));
    let saved = system.request(Method::GET, &format!("/api/v3/audio/{id}/download"), None).await;
    assert_eq!(saved.status(), 200);
    assert!(header(saved.headers(), "content-disposition").starts_with("attachment"));
    // Asked for again it is there, and costs nothing.
    let charges = system.charges().await.len();
    let wish = json!({"job_id": id, "audio_params": {"fade_duration": 1.0, "sync_mode": "trim", "merge_with_video": true}});
    let accepted = ask(system, Method::POST, "/api/v3/audio/generate-scenes", Some(wish), 202).await;
    has(&accepted, "job_id status message audio_status");
    has(&accepted["audio_status"], "started_at estimated_duration");
    assert_eq!(system.charges().await.len(), charges);
    ask(system, Method::POST, "/api/v3/audio/generate-scenes", Some(json!({})), 400).await;
    ask(system, Method::POST, "/api/v3/audio/generate-scenes", Some(json!({"job_id": 4711})), 404).await;
}

/// The storyboard was turned round before its approval: the third photo is the first that one sees.
async fn item_19_the_film_has_the_order_of_the_storyboard(system: &System, id: i64) {
    let storyboard = ask(system, Method::GET, &format!("{JOBS}/{id}"), None, 200).await["storyboard"].take();
    let wanted: Vec<String> = list(&storyboard, "scenes")
        .iter()
        .flat_map(|scene| list(scene, "asset_ids"))
        .map(|id| text(id).to_owned())
        .collect();
    let film = system.video(id).await;
    for (asset, at) in wanted.iter().zip([0.1, 3.8, 4.1, 7.8]) {
        let asset = ask(system, Method::GET, &format!("/api/v3/assets/{asset}"), None, 200).await;
        let frame = picture(&film, at).await;
        let mut nearest = (f64::MAX, String::new());
        for photo in photos() {
            let name = photo.file_name().expect("a name").to_string_lossy().into_owned();
            let unlike = difference(&frame, &picture(&photo, 0.0).await);
            if unlike < nearest.0 {
                nearest = (unlike, name);
            }
        }
        assert_eq!(nearest.1, text(&asset["data"]["name"]), "at {at} s");
    }
}

async fn with(system: &System, path: &str, name: &'static str, value: &str) -> Response {
    let request =
        system.http.get(format!("{}{path}", system.ready.api)).header("x-api-key", &system.ready.key);
    request.header(name, value).send().await.expect("an answer")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().expect("text"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
