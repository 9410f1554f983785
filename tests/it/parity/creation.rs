//! Items 1 to 6 and 8: a job is created with all that one must see before money is spent.

use reqwest::Method;
use serde_json::json;
use system_tests::books::number;
use system_tests::system::{Options, System};
use system_tests::wait;

use super::{JOBS, PAIRS, PROPERTY, ask, has, id_of, list};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
/// The types of scenes that stand for a property where none are named.
const TYPES: [&str; 6] = ["exterior", "interior", "kitchen", "bedroom", "bathroom", "living_room"];

#[tokio::test(flavor = "multi_thread")]
async fn items_1_to_6_and_8_creation() {
    let system = System::start(&Options { cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    item_1_pending_with_storyboard_and_cost(&system, &campaign).await;
    item_2_names_count_up(&system, &campaign).await;
    item_3_what_is_missing_is_said(&system).await;
    item_4_property_photos_have_types(&system, &campaign).await;
    item_5_total_duration_is_the_sum(&system, &campaign).await;
    item_6_several_jobs_of_one_campaign(&system, &campaign).await;
    item_8_jobs_are_read_whatever_was_stored(&system, &campaign).await;
    // Item 1 again: all of these were created, and nobody said yes.
    assert_eq!(number(&system.database().await, "SELECT count(*) FROM predictions").await, 0);
    assert!(system.charges().await.is_empty(), "nothing is spent before approval");
    system.stop().await;
}

async fn item_1_pending_with_storyboard_and_cost(system: &System, campaign: &str) {
    let wish = json!({"campaign_id": campaign, "num_pairs": 2, "clip_duration": 4, "video_model": "veo3",
                      "parameters": {"note": "mine"}});
    let created = ask(system, Method::POST, PAIRS, Some(wish), 201).await;
    has(
        &created,
        "job_id status type scene_count message video_name estimated_cost costs storyboard_ready storyboard campaign_id client_id
         clip_duration num_pairs total_assets",
    );
    assert_eq!((&created["status"], &created["type"]), (&json!("pending"), &json!("image_pairs")));
    assert_eq!((&created["storyboard_ready"], &created["scene_count"]), (&json!(true), &json!(2)));
    has(&created["costs"], "estimated currency");
    assert!(created["costs"]["estimated"].as_f64() > Some(0.0));
    assert_eq!(created["costs"]["estimated"], created["estimated_cost"]);
    for scene in list(&created["storyboard"], "scenes") {
        has(scene, "title description duration transition asset_ids");
        assert_eq!(list(scene, "asset_ids").len(), 2, "first and last frame: {scene}");
    }

    let shown = ask(system, Method::GET, &format!("{JOBS}/{}", created["job_id"]), None, 200).await;
    has(
        &shown,
        "job_id type status video_name estimated_cost costs progress_percentage current_stage parameters storyboard inserted_at updated_at",
    );
    assert_eq!((&shown["status"], &shown["storyboard"]), (&json!("pending"), &created["storyboard"]));
    assert_eq!(shown["parameters"]["note"], "mine");
    assert_eq!(
        (&shown["progress_percentage"], &shown["current_stage"]),
        (&json!(0), &json!("storyboard_ready"))
    );

    // The third way: under its campaign, with a shape of its own. All of the body may be left out.
    let path = format!("/api/v3/campaigns/{campaign}/create-job");
    let created = ask(system, Method::POST, &path, None, 201).await;
    has(&created["data"], "id type status campaign_id asset_count scene_count parameters");
    has(&created["links"], "self approve status");
    assert_eq!((&created["data"]["status"], &created["data"]["scene_count"]), (&json!("pending"), &json!(4)));
    let link = created["links"]["self"].as_str().expect("a path");
    assert_eq!(ask(system, Method::GET, link, None, 200).await["job_id"], created["data"]["id"]);
}

async fn item_2_names_count_up(system: &System, campaign: &str) {
    let mut names = Vec::new();
    for _ in 0..2 {
        let wish = json!({"campaign_id": campaign, "num_pairs": 1});
        names.push(ask(system, Method::POST, PAIRS, Some(wish), 201).await["video_name"].clone());
    }
    // Two jobs came before them.
    assert_eq!(names, [json!("Autumn 3"), json!("Autumn 4")]);
}

async fn item_3_what_is_missing_is_said(system: &System) {
    let client = system.post("/api/v3/clients", json!({"name": "Empty"})).await["data"]["id"].clone();
    let bare = system.post("/api/v3/campaigns", json!({"name": "Bare", "client_id": client})).await;
    let bare = bare["data"]["id"].as_str().expect("an id");
    for path in [PAIRS, PROPERTY] {
        ask(system, Method::POST, path, Some(json!({})), 400).await;
        ask(system, Method::POST, path, Some(json!({"campaign_id": NOBODY})), 404).await;
        let refused = ask(system, Method::POST, path, Some(json!({"campaignId": bare})), 400).await;
        assert_eq!(refused["code"], "no_assets");
    }
    let refused = ask(system, Method::POST, &format!("/api/v3/campaigns/{bare}/create-job"), None, 422).await;
    assert_eq!(refused["code"], "no_assets", "its status differs on this route");
    ask(system, Method::POST, &format!("/api/v3/campaigns/{NOBODY}/create-job"), None, 404).await;
    let wrong =
        ask(system, Method::POST, PAIRS, Some(json!({"campaign_id": bare, "num_pairs": -1})), 422).await;
    has(&wrong["details"], "num_pairs");
}

async fn item_4_property_photos_have_types(system: &System, campaign: &str) {
    let created = ask(system, Method::POST, PROPERTY, Some(json!({"campaign_id": campaign})), 201).await;
    has(
        &created,
        "job_id status type scene_count video_name estimated_cost costs storyboard_ready storyboard campaign_id client_id",
    );
    assert_eq!((&created["type"], &created["property_types"]), (&json!("property_photos"), &json!(TYPES)));
    let shown = ask(system, Method::GET, &format!("{JOBS}/{}", created["job_id"]), None, 200).await;
    assert_eq!(shown["parameters"]["property_types"], json!(TYPES), "the list that stands for none");
    for scene in list(&created["storyboard"], "scenes") {
        has(scene, "title description duration transition scene_type");
        let kind = scene["scene_type"].as_str().expect("a type");
        assert!(TYPES.contains(&kind), "{kind} is not in the list");
    }
    let wish = json!({"campaign_id": campaign, "property_types": ["kitchen", "../hall"]});
    let refused = ask(system, Method::POST, PROPERTY, Some(wish), 400).await;
    assert_eq!(refused["invalid_types"], json!(["../hall"]));
}

async fn item_5_total_duration_is_the_sum(system: &System, campaign: &str) {
    for (path, wish) in [
        (PAIRS, json!({"campaign_id": campaign, "num_pairs": 3, "clip_duration": 5.5})),
        (PROPERTY, json!({"campaign_id": campaign})),
    ] {
        let storyboard = ask(system, Method::POST, path, Some(wish), 201).await["storyboard"].take();
        let sum: f64 =
            list(&storyboard, "scenes").iter().filter_map(|scene| scene["duration"].as_f64()).sum();
        assert!(sum > 0.0);
        assert_eq!(storyboard["total_duration"].as_f64(), Some(sum));
    }
}

async fn item_6_several_jobs_of_one_campaign(system: &System, campaign: &str) {
    let found =
        ask(system, Method::GET, &format!("{JOBS}?campaign_id={campaign}&state=pending"), None, 200).await;
    assert_eq!(list(&found, "data").len(), 7, "all that were created above stand side by side");
}

/// Callers write names in either casing, and rows hold what earlier releases and importers wrote.
#[expect(clippy::disallowed_methods, reason = "as an earlier release or an importer would have written it")]
async fn item_8_jobs_are_read_whatever_was_stored(system: &System, campaign: &str) {
    let snake =
        json!({"campaign_id": campaign, "num_pairs": 2, "clip_duration": 6, "video_model": "hailuo-02"});
    let camel = json!({"campaignId": campaign, "numPairs": 2, "clipDuration": 6, "videoModel": "hailuo-02"});
    let mut jobs = Vec::new();
    for wish in [snake, camel] {
        jobs.push(ask(system, Method::POST, PAIRS, Some(wish), 201).await);
    }
    for member in ["num_pairs", "clip_duration", "estimated_cost", "scene_count"] {
        assert_eq!(jobs[0][member], jobs[1][member], "{member}");
    }
    let id = id_of(&jobs[0]);
    let pool = system.database().await;
    for stored in [
        json!({"progress": {"percentage": 40, ":stage": "rendering"}, ":costs": {":estimated": 1.5}}),
        json!({"progress": [["stage", "rendering"]], "campaign_id": null, "clip_duration": "4"}),
        json!({}),
    ] {
        sqlx::query("UPDATE jobs SET parameters = $2, estimate = estimate - 'learned_p95_micros', version = version + 1 WHERE id = $1")
            .bind(id)
            .bind(&stored)
            .execute(&pool)
            .await
            .expect("stored");
        // Nobody has told the API of the change, and it may keep an answer for a moment.
        wait::until(&format!("the job with {stored}"), async || {
            let shown = ask(system, Method::GET, &format!("{JOBS}/{id}"), None, 200).await;
            (shown["parameters"] == stored && shown["status"] == "pending").then_some(())
        })
        .await;
        ask(system, Method::GET, &format!("{JOBS}?q={id}"), None, 200).await;
    }
}
