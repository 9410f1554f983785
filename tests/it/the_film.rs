//! The main job: real photos in, a finished film out.

use serde_json::json;
use system_tests::film::{difference, mean_volume, picture, probe, volume_between};
use system_tests::job::photos;
use system_tests::system::{Options, System};

#[tokio::test(flavor = "multi_thread")]
async fn eight_photos_become_a_film_of_four_scenes_with_music() {
    let system = System::start(&Options { workers: 2, ..Options::default() }).await;
    let campaign = system.campaign().await;
    let id = system.approved_job(&campaign, json!({})).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(job["progress_percentage"].as_f64(), Some(100.0));
    let scenes = system.get(&format!("/api/v3/jobs/{id}/scenes")).await;
    assert_eq!((&scenes["total_scenes"], &scenes["completed_scenes"]), (&json!(4), &json!(4)));

    let video = system.video(id).await;
    let found = probe(&video).await;
    let stream = |kind: &str| {
        let streams = found["streams"].as_array().unwrap();
        streams
            .iter()
            .find(|s| s["codec_type"] == kind)
            .unwrap_or_else(|| panic!("no {kind} in {found}"))
            .clone()
    };
    let (picture_stream, sound) = (stream("video"), stream("audio"));
    assert_eq!((&picture_stream["codec_name"], &sound["codec_name"]), (&json!("h264"), &json!("aac")));
    assert_eq!((&picture_stream["width"], &picture_stream["height"]), (&json!(1920), &json!(1080)));
    let seconds: f64 = found["format"]["duration"].as_str().unwrap().parse().unwrap();
    let asked = job["storyboard"]["total_duration"].as_f64().unwrap();
    assert!((seconds - asked).abs() <= 0.2, "{seconds} s, the storyboard says {asked}");
    assert!(mean_volume(&video).await > -40.0, "there is music");
    scenes_are_in_order(&video).await;

    // Four clips and four stretches of music, each bought once, to the micro-dollar.
    system.ledgers_agree(id, 8).await;
    system.nothing_else_was_bought().await;
    let dir = system.stop().await;
    drop(dir);
}

/// Each scene begins with its first photo and ends with its second: that photo is the most like it.
async fn scenes_are_in_order(video: &std::path::Path) {
    let photos = photos();
    let mut pictures = Vec::new();
    for photo in &photos {
        pictures.push(picture(photo, 0.0).await);
    }
    for (index, photo) in photos.iter().enumerate() {
        let at = (index / 2) as f64 * 4.0 + if index % 2 == 0 { 0.1 } else { 3.8 };
        let frame = picture(video, at).await;
        let likeness: Vec<f64> = pictures.iter().map(|picture| difference(&frame, picture)).collect();
        let best = likeness.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map(|(best, _)| best);
        assert_eq!(best, Some(index), "at {at} s one expects {}: {likeness:?}", photo.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hailuo_clips_of_another_shape_are_fitted_and_cut() {
    let system = System::start(&Options { workers: 1, speed: 120.0, ..Options::default() }).await;
    let campaign = system.campaign().await;
    let more = json!({"video_model": "hailuo-02", "num_pairs": 2, "clip_duration": 5});
    let id = system.approved_job(&campaign, more).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    let found = probe(&system.video(id).await).await;
    let seconds: f64 = found["format"]["duration"].as_str().unwrap().parse().unwrap();
    assert!((seconds - 10.0).abs() <= 0.2, "two clips of 6 s cut to 5 s: {seconds}");
    system.ledgers_agree(id, 4).await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_where_it_was_after_a_stop() {
    let options = Options { speed: 20.0, cheap_media: true, ..Options::default() };
    let system = System::start(&options).await;
    let campaign = system.campaign().await;
    let id = system.approved_job(&campaign, json!({})).await;
    let key = system.ready.key.clone();
    let dir = system.stop().await;
    let system = System::start_in(dir, &options).await;
    assert_eq!(system.ready.key, key, "the key is made once");
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    system.ledgers_agree(id, 8).await;
    system.nothing_else_was_bought().await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_left_out_or_ends_the_job_as_it_was_asked() {
    let system = System::start(&Options { cheap_media: true, speed: 120.0, ..Options::default() }).await;
    let campaign = system.campaign().await;

    // Without music the film is silent.
    let no_music =
        json!({"match": {"model": "meta/musicgen"}, "fault": {"kind": "fail", "error": "CUDA error"}});
    system.fault(no_music.clone()).await;
    let id = system.approved_job(&campaign, json!({})).await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
    assert!(mean_volume(&system.video(id).await).await < -60.0, "silence in the place of music");
    system.ledgers_agree(id, 4).await;

    // A refused scene is skipped and shown, or ends the job; the other clips are kept.
    let refused = json!({"match": {"model": "google/veo-3.1-fast", "nth": 1},
                         "fault": {"kind": "fail", "error": "flagged as sensitive (E005)", "charge": "none"}});
    system.no_faults().await;
    system.fault(refused.clone()).await;
    let id = system.approved_job(&campaign, json!({"on_scene_failure": "skip"})).await;
    let job = system.finished(id).await;
    assert_eq!((&job["status"], &job["partial"]), (&json!("completed"), &json!(true)), "{job}");
    let found = probe(&system.video(id).await).await;
    let seconds: f64 = found["format"]["duration"].as_str().unwrap().parse().unwrap();
    assert!((seconds - 12.0).abs() <= 0.2, "three scenes of four: {seconds}");

    system.no_faults().await;
    system.fault(refused).await;
    let id = system.approved_job(&campaign, json!({})).await;
    let job = system.finished(id).await;
    assert_eq!((&job["status"], &job["error_code"]), (&json!("failed"), &json!("scene_failed")), "{job}");
    assert!(job["error"].as_str().unwrap().contains("flagged"), "{job}");
    let scenes = system.get(&format!("/api/v3/jobs/{id}/scenes")).await;
    assert_eq!(scenes["completed_scenes"], 3, "{scenes}");
    system.nothing_else_was_bought().await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn music_that_was_asked_for_fades_as_long_as_was_said() {
    let system =
        System::start(&Options { workers: 1, speed: 60.0, cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    let body = json!({"campaign_id": campaign, "clip_duration": 8, "num_pairs": 1, "resolution": "720p", "music": false});
    let id = system.post("/api/v3/jobs/from-image-pairs", body).await["job_id"].as_i64().expect("a number");
    let wish = json!({"job_id": id, "audio_params": {"fade_duration": 4, "merge_with_video": true, "sync_mode": "trim"}});
    system.post("/api/v3/audio/generate-scenes", wish).await;
    system.post(&format!("/api/v3/jobs/{id}/approve"), json!({})).await;
    assert_eq!(system.finished(id).await["status"], "completed");
    let video = system.video(id).await;
    // A straight fade over four seconds still rises by 6 dB when the usual one has long been over.
    let (early, later) = (volume_between(&video, 1.6, 2.0).await, volume_between(&video, 3.6, 4.0).await);
    assert!(later - early > 4.0, "{early} dB, then {later} dB");
    system.stop().await;
}
