//! Item 21: what only the Python system had, and is still valued.

use reqwest::Method;
use serde_json::json;
use system_tests::system::{Options, System};

use super::{JOBS, PAIRS, ask, has, id_of, list, said};

#[tokio::test(flavor = "multi_thread")]
async fn item_21_what_only_the_python_system_had() {
    let system = System::start(&Options { cheap_media: true, ..Options::default() }).await;
    let campaign = system.campaign().await;
    dry_run(&system, &campaign).await;
    let id = refined_and_put_in_order(&system, &campaign).await;
    actions(&system, &campaign).await;
    keys_of_one_client(&system, id).await;
    all_that_failed_again(&system, &campaign).await;
    how_a_film_did(&system, &campaign).await;
    system.stop().await;
}

async fn dry_run(system: &System, campaign: &str) {
    let wish = json!({"campaign_id": campaign, "num_pairs": 2, "clip_duration": 4});
    let price = ask(system, Method::POST, "/api/v3/jobs/dry-run", Some(wish.clone()), 200).await;
    assert_eq!(price["dry_run"], true);
    assert!(ask(system, Method::GET, JOBS, None, 200).await["data"] == json!([]), "nothing is written");
    let created = ask(system, Method::POST, PAIRS, Some(wish), 201).await;
    assert_eq!(price["estimated_cost"], created["estimated_cost"], "and it is what it will be");
}

/// Words and order change before the approval, and after the end they need another one.
async fn refined_and_put_in_order(system: &System, campaign: &str) -> i64 {
    let id = small(system, campaign, 2).await;
    let path = format!("{JOBS}/{id}");
    let board = ask(system, Method::GET, &path, None, 200).await["storyboard"].take();
    ask(system, Method::POST, &format!("{path}/approve"), None, 200).await;
    assert_eq!(system.finished(id).await["status"], "completed");
    let turned =
        ask(system, Method::POST, &format!("{path}/reorder"), Some(json!({"scene_order": [2, 1]})), 200)
            .await;
    assert_eq!(turned["job_status"], "pending", "approved again");
    assert_eq!(list(&turned, "scenes")[0]["id"], list(&board, "scenes")[1]["id"]);
    ask(system, Method::POST, &format!("{path}/reorder"), Some(json!({"scene_order": [1, 1]})), 422).await;
    ask(system, Method::POST, &format!("{path}/approve"), None, 200).await;
    assert_eq!(system.finished(id).await["status"], "completed");

    for round in 0..5 {
        let wish = json!({"scene_number": 1, "new_image_prompt": format!("Lamps lit, {round}"), "new_description": "Dusk"});
        let refined = ask(system, Method::POST, &format!("{path}/refine"), Some(wish), 200).await;
        assert_eq!(
            (&refined["job_status"], &refined["scene"]["description"]),
            (&json!("pending"), &json!("Dusk"))
        );
    }
    let wish = json!({"scene_number": 1, "new_image_prompt": "Once more"});
    ask(system, Method::POST, &format!("{path}/refine"), Some(wish), 429).await;
    id
}

async fn actions(system: &System, campaign: &str) {
    let act = async |id: i64, action: &str, status: u16| {
        ask(system, Method::POST, &format!("{JOBS}/{id}/actions"), Some(json!({"action": action})), status)
            .await
    };
    let (rejected, canceled) = (small(system, campaign, 1).await, small(system, campaign, 1).await);
    assert_eq!(act(rejected, "reject_storyboard", 200).await["status"], "canceled");
    act(rejected, "reject_storyboard", 422).await;
    act(rejected, "approve", 422).await;
    assert_eq!(act(canceled, "cancel", 200).await["status"], "canceled");
    act(canceled, "sing", 422).await;
    let copy = ask(system, Method::POST, &format!("{JOBS}/{canceled}/duplicate"), None, 201).await;
    assert_eq!((&copy["status"], &copy["scene_count"]), (&json!("pending"), &json!(1)));
    ask(system, Method::DELETE, &format!("{JOBS}/{canceled}"), None, 204).await;
    ask(system, Method::GET, &format!("{JOBS}/{canceled}"), None, 404).await;
}

/// Keys have an end and an owner, who sees nothing of others.
async fn keys_of_one_client(system: &System, theirs: i64) {
    let other = system.post("/api/v3/clients", json!({"name": "Another"})).await["data"]["id"].clone();
    let wish = json!({"name": "Their site", "scopes": ["write"], "client_id": other, "expires_days": 1});
    let made = ask(system, Method::POST, "/api/v3/admin/keys", Some(wish), 201).await;
    let key = made["key"].as_str().expect("a key").to_owned();
    let with_key = async |path: &str| {
        let request = system.http.get(format!("{}{path}", system.ready.api)).header("x-api-key", &key);
        request.send().await.expect("an answer")
    };
    let seen = said(with_key("/api/v3/clients").await, 200).await;
    assert_eq!((list(&seen, "data").len(), &list(&seen, "data")[0]["id"]), (1, &other));
    assert_eq!(said(with_key(JOBS).await, 200).await["data"], json!([]));
    for path in [format!("{JOBS}/{theirs}"), format!("/api/v3/videos/{theirs}/combined")] {
        said(with_key(&path).await, 404).await;
    }
    said(with_key("/api/v3/admin/keys").await, 403).await;

    let keys = ask(system, Method::GET, "/api/v3/admin/keys", None, 200).await;
    let listed =
        list(&keys, "data").iter().find(|one| one["id"] == made["data"]["id"]).expect("it is listed");
    has(listed, "name active created_at last_used_at expires_at");
    let path = format!("/api/v3/admin/keys/{}", listed["id"].as_str().expect("an id"));
    ask(system, Method::DELETE, &path, None, 204).await;
    said(with_key(JOBS).await, 401).await;
}

async fn all_that_failed_again(system: &System, campaign: &str) {
    system.fault(json!({"times": 1, "fault": {"kind": "fail", "error": "flagged as sensitive (E005)", "charge": "none"}})).await;
    let id = small(system, campaign, 1).await;
    ask(system, Method::POST, &format!("{JOBS}/{id}/approve"), None, 200).await;
    assert_eq!(system.finished(id).await["status"], "failed");
    let preview = ask(system, Method::POST, "/api/v3/jobs/retry", None, 200).await;
    assert_eq!((&preview["dry_run"], &preview["matched"]), (&json!(true), &json!(1)));
    let again = ask(system, Method::POST, "/api/v3/jobs/retry", Some(json!({"dry_run": false})), 200).await;
    assert_eq!(list(&again, "data").len(), 1);
    assert_eq!(system.finished(id).await["status"], "completed");
}

async fn how_a_film_did(system: &System, campaign: &str) {
    let stored = ask(system, Method::GET, "/api/v3/admin/storage", None, 200).await;
    assert!(stored["data"]["videos"]["bytes"].as_i64() > Some(0), "{stored}");
    let found = ask(system, Method::GET, "/api/v3/ai-videos?status=completed", None, 200).await;
    let id = id_of(&list(&found, "data")[0]);
    let path = format!("/api/v3/videos/{id}/metrics");
    let report = json!({"views": 1200, "clicks": 60, "ctr": 0.05, "conversions": 3});
    ask(system, Method::PATCH, &path, Some(report.clone()), 200).await;
    let shown = ask(system, Method::GET, &path, None, 200).await;
    for (member, value) in report.as_object().expect("members") {
        assert_eq!(shown[member], *value, "{member}");
    }
    ask(system, Method::PATCH, &path, Some(json!({"ctr": 1.5})), 422).await;
    // A campaign's numbers count what was really spent.
    let stats = ask(system, Method::GET, &format!("/api/v3/campaigns/{campaign}/stats"), None, 200).await;
    assert!(stats["totalSpend"].as_f64() > Some(0.0) && stats["videoCount"] != 0, "{stats}");
}

async fn small(system: &System, campaign: &str, pairs: u32) -> i64 {
    let wish = json!({"campaign_id": campaign, "num_pairs": pairs, "clip_duration": 4, "resolution": "720p", "music": false, "reuse": false});
    id_of(&ask(system, Method::POST, PAIRS, Some(wish), 201).await)
}
