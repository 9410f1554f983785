//! Item 20, and what all others stand on: clients and campaigns, and the document that says how to speak of them.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::system::{Options, System};

use super::{ask, has, list, said};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const CLIENTS: &str = "/api/v3/clients";
const CAMPAIGNS: &str = "/api/v3/campaigns";

#[tokio::test(flavor = "multi_thread")]
async fn item_20_the_document_clients_and_campaigns() {
    let system = System::start(&Options { cheap_media: true, ..Options::default() }).await;
    item_20_the_document(&system).await;
    nobody_comes_in_without_a_key(&system).await;
    let client = clients(&system).await;
    campaigns(&system, &client).await;
    let path = format!("{CLIENTS}/{client}");
    ask(&system, Method::DELETE, &path, None, 204).await;
    ask(&system, Method::GET, &path, None, 404).await;
    assert_eq!(ask(&system, Method::GET, CAMPAIGNS, None, 200).await["meta"]["total"], 0, "they go with it");
    system.stop().await;
}

/// Under both names and without a key: the platform's health check looks there.
async fn item_20_the_document(system: &System) {
    let mut documents = Vec::new();
    for path in ["/api/openapi.json", "/api/openapi"] {
        let answer = system.http.get(format!("{}{path}", system.ready.api)).send().await.expect("an answer");
        documents.push(said(answer, 200).await);
    }
    assert_eq!(documents[0], documents[1]);
    let paths = documents[0]["paths"].as_object().expect("paths");
    for path in V3 {
        assert!(paths.contains_key(path), "{path} is not in the document");
    }
}

/// Every address of the older API.
const V3: [&str; 35] = [
    "/api/v3/clients",
    "/api/v3/clients/{id}",
    "/api/v3/clients/{id}/campaigns",
    "/api/v3/clients/{id}/stats",
    "/api/v3/campaigns",
    "/api/v3/campaigns/{id}",
    "/api/v3/campaigns/{id}/assets",
    "/api/v3/campaigns/{id}/stats",
    "/api/v3/campaigns/{id}/create-job",
    "/api/v3/assets",
    "/api/v3/assets/{id}",
    "/api/v3/assets/from-url",
    "/api/v3/assets/from-urls",
    "/api/v3/assets/unified",
    "/api/v3/assets/{id}/data",
    "/api/v3/assets/{id}/thumbnail",
    "/api/v3/jobs/from-image-pairs",
    "/api/v3/jobs/from-property-photos",
    "/api/v3/jobs/{id}",
    "/api/v3/jobs/{id}/approve",
    "/api/v3/generated-videos",
    "/api/v3/jobs/{id}/scenes",
    "/api/v3/jobs/{id}/scenes/{scene_id}",
    "/api/v3/jobs/{id}/scenes/{scene_id}/regenerate",
    "/api/v3/videos/{job_id}/combined",
    "/api/v3/videos/{job_id}/thumbnail",
    "/api/v3/videos/{job_id}/clips/{filename}",
    "/api/v3/videos/{job_id}/clips/{filename}/thumbnail",
    "/api/v3/audio/generate-scenes",
    "/api/v3/audio/status/{job_id}",
    "/api/v3/audio/{job_id}/download",
    "/api/v3/audio/segments/{token}",
    "/api/webhooks/replicate",
    "/api/openapi.json",
    "/api/openapi",
];

async fn nobody_comes_in_without_a_key(system: &System) {
    for key in ["", "wrong", "spool_wrong_wrong"] {
        let request = system.http.get(format!("{}{CLIENTS}", system.ready.api)).header("x-api-key", key);
        let refused = said(request.send().await.expect("an answer"), 401).await;
        assert!(refused["error"].is_string(), "{refused}");
    }
}

async fn clients(system: &System) -> String {
    let new = json!({"name": "Alpine Lodges", "description": "Huts", "homepage": "https://lodges.example",
                     "metadata": {"tier": "gold"}, "brand_guidelines": "Green"});
    let created = ask(system, Method::POST, CLIENTS, Some(new.clone()), 201).await["data"].take();
    has(&created, "id name description homepage metadata brand_guidelines inserted_at updated_at");
    for (member, value) in new.as_object().expect("members") {
        assert_eq!(created[member], *value, "{member}");
    }
    let id = created["id"].as_str().expect("an id").to_owned();
    let path = format!("{CLIENTS}/{id}");
    assert_eq!(ask(system, Method::GET, &path, None, 200).await["data"], created);
    let all = ask(system, Method::GET, CLIENTS, None, 200).await;
    assert_eq!((&all["data"], &all["meta"]["total"]), (&json!([created]), &json!(1)));
    for method in [Method::PUT, Method::PATCH] {
        let changed =
            ask(system, method, &path, Some(json!({"homepage": "https://huts.example"})), 200).await;
        assert_eq!(
            (&changed["data"]["homepage"], &changed["data"]["name"]),
            (&json!("https://huts.example"), &created["name"])
        );
    }
    for wrong in [json!({}), json!({"name": ""}), json!({"name": "x".repeat(256)}), json!({"name": 1})] {
        let refused = ask(system, Method::POST, CLIENTS, Some(wrong), 422).await;
        assert_eq!(refused["code"], "validation_failed");
        has(&refused["details"], "name");
    }
    let unknown = ask(system, Method::GET, &format!("{CLIENTS}/{NOBODY}"), None, 404).await;
    assert_eq!(unknown["code"], "not_found");
    for end in ["/campaigns", "/stats"] {
        ask(system, Method::GET, &format!("{CLIENTS}/{NOBODY}{end}"), None, 404).await;
    }
    id
}

async fn campaigns(system: &System, client: &str) {
    let new = json!({"name": "Autumn", "client_id": client, "brief": {"tone": "warm"}, "goal": "Bookings", "status": "draft",
                     "product_url": "https://lodges.example/autumn", "metadata": {"k": 1}});
    let created = ask(system, Method::POST, CAMPAIGNS, Some(new), 201).await["data"].take();
    has(&created, "id clientId name goal status productUrl brief metadata createdAt updatedAt");
    assert_eq!((&created["clientId"], &created["brief"]), (&json!(client), &json!({"tone": "warm"})));
    let path = format!("{CAMPAIGNS}/{}", created["id"].as_str().expect("an id"));
    assert_eq!(ask(system, Method::GET, &path, None, 200).await["data"], created);
    let as_text = json!({"name": "Winter", "clientId": client, "brief": "{\"tone\": \"cold\"}"});
    let winter = ask(system, Method::POST, CAMPAIGNS, Some(as_text), 201).await["data"].take();
    assert_eq!(winter["brief"], json!({"tone": "cold"}), "decoded, as it always was");
    let prose = ask(system, Method::PATCH, &path, Some(json!({"brief": "Warm and calm"})), 200).await;
    assert_eq!(
        (&prose["data"]["brief"], &prose["data"]["goal"]),
        (&json!("Warm and calm"), &json!("Bookings"))
    );

    let found = ask(system, Method::GET, &format!("{CAMPAIGNS}?client_id={client}"), None, 200).await;
    assert_eq!((&found["meta"]["total"], list(&found, "data").len()), (&json!(2), 2));
    let nested = ask(system, Method::GET, &format!("{CLIENTS}/{client}/campaigns"), None, 200).await;
    has(&nested["meta"], "client_id total");
    for row in list(&nested, "data") {
        has(row, "id name brief client_id inserted_at updated_at");
    }
    let stats = ask(system, Method::GET, &format!("{CLIENTS}/{client}/stats"), None, 200).await;
    has(&stats["data"], "campaignCount videoCount totalSpend");
    assert_eq!(stats["data"]["campaignCount"], 2);
    has(
        &ask(system, Method::GET, &format!("{path}/stats"), None, 200).await,
        "videoCount totalSpend avgCost",
    );

    for (wrong, field) in [
        (json!({"client_id": client}), "name"),
        (json!({"name": "x"}), "client_id"),
        (json!({"name": "x", "client_id": NOBODY}), "client_id"),
    ] {
        has(&ask(system, Method::POST, CAMPAIGNS, Some(wrong), 422).await["details"], field);
    }
    for end in ["", "/assets", "/stats"] {
        ask(system, Method::GET, &format!("{CAMPAIGNS}/{NOBODY}{end}"), None, 404).await;
    }
    ask(system, Method::DELETE, &path, None, 204).await;
    assert_eq!(ask(system, Method::GET, &path, None, 404).await["status"], Value::from(404));
}
