//! Item 10: scenes are listed, shown, changed, made anew and deleted, each where its job allows it.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::system::{Options, System};
use system_tests::wait;

use super::{JOBS, PAIRS, ask, has, id_of, list};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn item_10_scenes() {
    let system = System::start(&Options { cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    let (id, other) = (job(&system, &campaign).await, job(&system, &campaign).await);
    listed_and_shown(&system, id, other).await;
    changed_and_deleted_before_approval(&system, id).await;
    nothing_changes_while_it_runs(&system, id).await;
    made_anew_after_the_end(&system, id).await;
    a_job_without_scenes(&system, other).await;
    system.stop().await;
}

async fn listed_and_shown(system: &System, id: i64, other: i64) {
    let path = format!("{JOBS}/{id}/scenes");
    let found = ask(system, Method::GET, &path, None, 200).await;
    has(&found, "job_id total_scenes completed_scenes progress_percentage scenes");
    assert_eq!((&found["total_scenes"], &found["completed_scenes"]), (&json!(3), &json!(0)));
    for scene in list(&found, "scenes") {
        has(scene, "id status provider_id has_video inserted_at updated_at");
        assert_eq!((&scene["status"], &scene["has_video"]), (&json!("pending"), &json!(false)));
    }
    let scene = scene(system, id, 0).await;
    let shown = ask(system, Method::GET, &format!("{path}/{scene}"), None, 200).await;
    has(&shown, "scene job_id job_status");
    has(&shown["scene"], "id job_id status provider_id has_video video_blob_size inserted_at updated_at");
    assert_eq!((&shown["job_id"], &shown["job_status"]), (&json!(id), &json!("pending")));

    ask(system, Method::GET, &format!("{JOBS}/4711/scenes"), None, 404).await;
    for (method, end) in [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/regenerate")] {
        ask(system, method.clone(), &format!("{path}/{NOBODY}{end}"), None, 404).await;
        ask(system, method.clone(), &format!("{JOBS}/4711/scenes/{scene}{end}"), None, 404).await;
        ask(system, method, &format!("{JOBS}/{other}/scenes/{scene}{end}"), None, 422).await;
    }
}

async fn changed_and_deleted_before_approval(system: &System, id: i64) {
    let first = scene(system, id, 0).await;
    let path = format!("{JOBS}/{id}/scenes/{first}");
    let news = json!({"prompt": "Slow push-in towards the window"});
    let changed = ask(system, Method::PUT, &path, Some(news), 200).await;
    has(&changed, "message scene job_id");
    assert_eq!(changed["scene"]["prompt"], "Slow push-in towards the window");
    // What is sent back as it came changes nothing; what only a provider can know is not taken from callers.
    let same = json!({"status": "pending", "provider_id": null});
    let kept = ask(system, Method::PUT, &path, Some(same), 200).await;
    assert_eq!(kept["scene"]["version"], changed["scene"]["version"]);
    for wrong in [json!({"status": "completed"}), json!({"provider_id": "mine"})] {
        ask(system, Method::PUT, &path, Some(wrong), 422).await;
    }
    ask(system, Method::POST, &format!("{path}/regenerate"), None, 422).await;

    let gone = ask(system, Method::DELETE, &path, None, 200).await;
    has(&gone, "message scene_id job_id");
    assert_eq!(gone["scene_id"], json!(first));
    ask(system, Method::GET, &path, None, 404).await;
    let job = ask(system, Method::GET, &format!("{JOBS}/{id}"), None, 200).await;
    let left = list(&job["storyboard"], "scenes");
    let places: Vec<&Value> = left.iter().map(|scene| &scene["index"]).collect();
    assert_eq!(places, [&json!(0), &json!(1)], "storyboard and scenes are the same rows");
}

async fn nothing_changes_while_it_runs(system: &System, id: i64) {
    let first = scene(system, id, 0).await;
    let path = format!("{JOBS}/{id}/scenes/{first}");
    system.fault(json!({"times": "always", "fault": {"kind": "hold"}})).await;
    ask(system, Method::POST, &format!("{JOBS}/{id}/approve"), None, 200).await;
    wait::until("it to run", async || {
        (system.get(&format!("{JOBS}/{id}")).await["status"] == "processing").then_some(())
    })
    .await;
    for (method, path) in [
        (Method::DELETE, path.clone()),
        (Method::PUT, path.clone()),
        (Method::POST, format!("{path}/regenerate")),
    ] {
        let body = (method == Method::PUT).then(|| json!({"prompt": "Another one"}));
        let refused = ask(system, method, &path, body, 422).await;
        assert_eq!(refused["current_status"], "processing", "{refused}");
    }
    system.no_faults().await;
    let job = system.finished(id).await;
    assert_eq!(job["status"], "completed", "{job}");
}

async fn made_anew_after_the_end(system: &System, id: i64) {
    let first = scene(system, id, 0).await;
    let shown = ask(system, Method::GET, &format!("{JOBS}/{id}/scenes/{first}"), None, 200).await;
    let scene = &shown["scene"];
    assert_eq!((&scene["status"], &scene["has_video"]), (&json!("completed"), &json!(true)));
    assert!(scene["provider_id"].is_string() && scene["video_blob_size"].as_i64() > Some(0), "{scene}");
    let path = format!("{JOBS}/{id}/scenes/{first}/regenerate");
    let before = system.charges().await.len();
    let again = ask(system, Method::POST, &path, Some(json!({"prompt": "At dusk, lamps lit"})), 200).await;
    has(&again, "message scene job_id");
    assert_eq!((&again["scene"]["status"], &again["scene"]["has_video"]), (&json!("pending"), &json!(false)));
    let job = system.finished(id).await;
    assert_eq!((&job["status"], &job["revision"]), (&json!("completed"), &json!(2)), "{job}");
    assert_eq!(system.charges().await.len(), before + 1, "that clip, and no other");

    // Once more, of the very same input: it is bought, and nobody is told that something was paid twice.
    ask(system, Method::POST, &path, None, 200).await;
    assert_eq!(system.finished(id).await["status"], "completed");
    assert_eq!(system.charges().await.len(), before + 2);
    let waste = ask(system, Method::GET, "/api/v3/admin/spend/waste", None, 200).await;
    let twice = list(&waste, "data").iter().find(|one| one["class"] == "duplicate").expect("each class");
    assert_eq!((&twice["settled"]["micros"], &twice["purchases"]), (&json!(0), &json!(0)), "{waste}");
}

/// As a job whose storyboard is still being written, or one that was imported without its clips.
#[expect(clippy::disallowed_methods, reason = "no route leaves a job without scenes")]
async fn a_job_without_scenes(system: &System, id: i64) {
    let pool = system.database().await;
    sqlx::query("DELETE FROM scenes WHERE job_id = $1").bind(id).execute(&pool).await.expect("deleted");
    let found = ask(system, Method::GET, &format!("{JOBS}/{id}/scenes"), None, 200).await;
    assert_eq!((&found["total_scenes"], &found["scenes"]), (&json!(0), &json!([])));
}

async fn scene(system: &System, id: i64, place: usize) -> String {
    let found = ask(system, Method::GET, &format!("{JOBS}/{id}/scenes"), None, 200).await;
    list(&found, "scenes")[place]["id"].as_str().expect("an id").to_owned()
}

async fn job(system: &System, campaign: &str) -> i64 {
    let wish = json!({"campaign_id": campaign, "num_pairs": 3, "clip_duration": 4, "resolution": "720p", "music": false});
    id_of(&ask(system, Method::POST, PAIRS, Some(wish), 201).await)
}
