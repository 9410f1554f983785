//! Item 15: media come as files or by address, alone or many at once, and belong to somebody.

use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use system_tests::job::photos;
use system_tests::system::{Options, System};

use super::{ask, has, list, said};

const ASSETS: &str = "/api/v3/assets";

#[tokio::test(flavor = "multi_thread")]
async fn item_15_assets() {
    // What is stored here already is fetched by its own address.
    let env = vec![("SPOOL_FETCH_ALLOW", "127.0.0.1/32".to_owned())];
    let system = System::start(&Options { cheap_media: true, env, ..Options::default() }).await;
    let client = system.post("/api/v3/clients", json!({"name": "Alpine Lodges"})).await["data"]["id"].clone();
    let campaign =
        system.post("/api/v3/campaigns", json!({"name": "Autumn", "client_id": client})).await["data"]["id"]
            .clone();
    let (client, campaign) = (client.as_str().expect("an id"), campaign.as_str().expect("an id"));
    let asset = by_file(&system, client, campaign).await;
    by_address(&system, client, campaign, &asset).await;
    many_at_once(&system, campaign, &asset).await;
    found_and_deleted(&system, client, campaign, &asset).await;
    system.stop().await;
}

async fn by_file(system: &System, client: &str, campaign: &str) -> Value {
    let form = Form::new()
        .text("campaignId", campaign.to_owned())
        .text("tags", "exterior, evening")
        .text("caption", "West side");
    let created = said(upload(system, ASSETS, form.part("file", photo())).await, 201).await["data"].take();
    has(
        &created,
        "id userId clientId campaignId name url size uploadedAt description tags thumbnailBlobId sourceUrl type format width height",
    );
    assert_eq!(created["clientId"], client, "the campaign's client");
    assert_eq!(
        (&created["tags"], &created["description"]),
        (&json!(["exterior", "evening"]), &json!("West side"))
    );
    assert_eq!((&created["type"], &created["format"]), (&json!("image"), &json!("jpeg")));
    assert!(created["width"].as_i64() > Some(0) && created["height"].as_i64() > Some(0), "{created}");

    let both = Form::new().text("client_id", client.to_owned()).part("file", photo());
    let unified = said(upload(system, "/api/v3/assets/unified", both).await, 201).await;
    assert_eq!(unified["meta"]["has_thumbnail"], true);
    assert_eq!(unified["data"]["campaignId"], Value::Null);

    // One of campaign and client must be named, a source must be there, and the bytes must be what they are said to be.
    let nobodys = said(upload(system, ASSETS, Form::new().part("file", photo())).await, 422).await;
    has(&nobodys["details"], "campaign_id");
    said(upload(system, ASSETS, Form::new().text("client_id", client.to_owned())).await, 400).await;
    let page =
        Part::bytes(&b"<html></html>"[..]).file_name("photo.jpg").mime_str("image/jpeg").expect("a type");
    said(
        upload(system, ASSETS, Form::new().text("client_id", client.to_owned()).part("file", page)).await,
        400,
    )
    .await;

    let id = created["id"].as_str().expect("an id");
    let bytes = system.request(Method::GET, &format!("{ASSETS}/{id}/data"), None).await;
    assert_eq!(bytes.headers()["content-type"], "image/jpeg");
    assert_eq!(bytes.bytes().await.expect("bytes"), std::fs::read(&photos()[0]).expect("the photo"));
    let small = system.request(Method::GET, &format!("{ASSETS}/{id}/thumbnail"), None).await;
    assert_eq!(
        (small.status().as_u16(), &small.headers()["content-type"]),
        (200, &"image/jpeg".parse().expect("a value"))
    );
    let bare =
        system.http.get(format!("{}{ASSETS}/{id}/data", system.ready.api)).send().await.expect("an answer");
    assert_eq!(bare.status(), 401, "unlike before: without a key only by its link");
    let link = system.http.get(created["url"].as_str().expect("a link")).send().await.expect("an answer");
    assert_eq!(link.status(), 200);
    created
}

async fn by_address(system: &System, client: &str, campaign: &str, asset: &Value) {
    for (path, address) in [(ASSETS, "url"), (ASSETS, "sourceUrl"), ("/api/v3/assets/from-url", "source_url")]
    {
        let body = json!({address: asset["url"], "campaign_id": campaign, "name": "Again", "tag_list": ["a"], "meta": {"k": 1}});
        let created = ask(system, Method::POST, path, Some(body), 201).await["data"].take();
        assert_eq!((&created["sourceUrl"], &created["clientId"]), (&asset["url"], &json!(client)));
        assert_eq!(
            (&created["name"], &created["tags"], &created["metadata"]),
            (&json!("Again"), &json!(["a"]), &json!({"k": 1}))
        );
        assert_eq!(created["digest"], asset["digest"], "the same bytes");
    }
    ask(system, Method::POST, "/api/v3/assets/from-url", Some(json!({"campaign_id": campaign})), 400).await;
    let private = json!({"url": "http://10.0.0.1/a.jpg", "client_id": client});
    has(&ask(system, Method::POST, ASSETS, Some(private), 400).await, "reason");
}

async fn many_at_once(system: &System, campaign: &str, asset: &Value) {
    let path = "/api/v3/assets/from-urls";
    let two = json!([{"source_url": asset["url"]}, {"source_url": "http://10.0.0.1/a.jpg"}]);
    for name in ["assets", "items", "requests", "sources"] {
        let found =
            ask(system, Method::POST, path, Some(json!({name: two, "campaign_id": campaign})), 201).await;
        has(&found["meta"], "created failed errors");
        assert_eq!((&found["meta"]["created"], &found["meta"]["failed"]), (&json!(1), &json!(1)), "{found}");
        assert_eq!(list(&found, "data").len(), 1);
        let failed = &list(&found["meta"], "errors")[0];
        has(failed, "source error");
        assert_eq!(failed["source"], "http://10.0.0.1/a.jpg");
    }
    let all_fail = json!({"assets": [{"source_url": "http://10.0.0.1/a.jpg"}], "campaign_id": campaign});
    ask(system, Method::POST, path, Some(all_fail), 201).await;
    ask(system, Method::POST, path, Some(json!({"assets": []})), 400).await;
}

async fn found_and_deleted(system: &System, client: &str, campaign: &str, asset: &Value) {
    let page =
        ask(system, Method::GET, &format!("{ASSETS}?campaignId={campaign}&limit=2&offset=1"), None, 200)
            .await;
    has(&page["meta"], "total limit offset");
    assert_eq!((&page["meta"]["total"], list(&page, "data").len()), (&json!(8), 2));
    for (filter, total) in [
        (format!("client_id={client}"), 9),
        (format!("clientId={client}&type=image"), 9),
        (format!("client_id={client}&asset_type=video"), 0),
    ] {
        let found = ask(system, Method::GET, &format!("{ASSETS}?{filter}"), None, 200).await;
        assert_eq!(found["meta"]["total"], total, "{filter}");
    }
    let nested = ask(system, Method::GET, &format!("/api/v3/campaigns/{campaign}/assets"), None, 200).await;
    has(&nested["meta"], "campaign_id total");
    for row in list(&nested, "data") {
        has(row, "id type campaign_id source_url metadata has_blob_data inserted_at updated_at");
    }
    let path = format!("{ASSETS}/{}", asset["id"].as_str().expect("an id"));
    assert_eq!(ask(system, Method::GET, &path, None, 200).await["data"]["id"], asset["id"]);
    ask(system, Method::DELETE, &path, None, 204).await;
    for end in ["", "/data", "/thumbnail"] {
        ask(system, Method::GET, &format!("{path}{end}"), None, 404).await;
    }
    ask(system, Method::DELETE, &path, None, 404).await;
}

fn photo() -> Part {
    let bytes = std::fs::read(&photos()[0]).expect("a photo");
    Part::bytes(bytes).file_name("west.jpg").mime_str("image/jpeg").expect("a type")
}

async fn upload(system: &System, path: &str, form: Form) -> Response {
    let url = format!("{}{path}", system.ready.api);
    system
        .http
        .post(url)
        .header("x-api-key", &system.ready.key)
        .multipart(form)
        .send()
        .await
        .expect("an answer")
}
