//! Assets by address: what may be reached is reached, everything private is refused, also behind a redirect.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, Redirect};
use axum::routing::get;
use serde_json::json;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::{photo, start, start_with};

/// A web server on the loopback; its port.
pub(crate) async fn web() -> u16 {
    let photo = photo("living-room.jpg");
    let app = Router::new()
        .route(
            "/lodge/living-room.jpg",
            get(move || async { ([(header::CONTENT_TYPE, "image/jpeg")], photo) }),
        )
        .route("/moved", get(|| async { Redirect::temporary("/lodge/living-room.jpg") }))
        .route("/inwards", get(|| async { Redirect::temporary("http://127.0.0.1:5599/") }))
        .route("/metadata", get(|| async { Redirect::temporary("http://169.254.169.254/latest/meta-data") }))
        .route("/page", get(|| async { Html("<html>no</html>") }))
        .route("/gone", get(|| async { StatusCode::GONE }));
    serve(app).await
}

async fn serve(app: Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

#[sqlx::test(migrations = false)]
async fn an_allowed_address_is_fetched(pool: PgPool) {
    let port = web().await;
    let app = start_with(pool, &format!("127.0.0.1/32:{port}")).await;
    let client = app.client("A").await;
    let url = format!("http://127.0.0.1:{port}/lodge/living-room.jpg");
    for (path, field) in [
        ("/api/v3/assets", "source_url"),
        ("/api/v3/assets", "sourceUrl"),
        ("/api/v3/assets/from-url", "url"),
    ] {
        let asset = app.post(path, json!({"client_id": client, field: url, "tags": "living"})).await.is(201);
        assert_eq!(asset["data"]["name"], "living-room.jpg");
        assert_eq!(asset["data"]["sourceUrl"], url);
        assert_eq!(asset["data"]["size"], photo("living-room.jpg").len());
    }
    let moved =
        json!({"client_id": client, "source_url": format!("http://127.0.0.1:{port}/moved"), "name": "x"});
    assert_eq!(app.post("/api/v3/assets/from-url", moved).await.is(201)["data"]["name"], "x");

    for bad in ["inwards", "metadata", "page", "gone", "absent"] {
        let body = json!({"client_id": client, "source_url": format!("http://127.0.0.1:{port}/{bad}")});
        let problem = app.post("/api/v3/assets/from-url", body).await.is_problem(400, "download_failed");
        assert!(problem["reason"].is_string(), "{bad}");
    }
}

#[sqlx::test(migrations = false)]
async fn private_addresses_are_refused(pool: PgPool) {
    let port = web().await;
    let app = start(pool).await;
    let client = app.client("A").await;
    for url in [
        format!("http://127.0.0.1:{port}/lodge/living-room.jpg"),
        format!("http://localhost:{port}/lodge/living-room.jpg"),
        format!("http://[::1]:{port}/lodge/living-room.jpg"),
        format!("http://[::ffff:127.0.0.1]:{port}/lodge/living-room.jpg"),
        format!("http://2130706433:{port}/lodge/living-room.jpg"),
        format!("http://0x7f.1:{port}/lodge/living-room.jpg"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://10.0.0.1/a.jpg".to_owned(),
        "http://172.20.0.1/a.jpg".to_owned(),
        "http://192.168.1.1/a.jpg".to_owned(),
        "http://100.64.0.1/a.jpg".to_owned(),
        "http://[fd00::1]/a.jpg".to_owned(),
        "http://0.0.0.0/a.jpg".to_owned(),
        "ftp://example.com/a.jpg".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1:5599/_".to_owned(),
    ] {
        let body = json!({"client_id": client, "source_url": url});
        app.post("/api/v3/assets/from-url", body).await.is_problem(400, "download_failed");
    }
    for url in ["no url", "http://user:password@example.com/a.jpg", "//example.com/a.jpg"] {
        let body = json!({"client_id": client, "source_url": url});
        app.post("/api/v3/assets/from-url", body).await.is_problem(422, "validation_failed");
    }
    app.post("/api/v3/assets/from-url", json!({"client_id": client})).await.is_problem(400, "no_source");
}

/// The first one is answered when the last one was: it holds up no other, and comes first all the same.
#[sqlx::test(migrations = false)]
async fn a_slow_address_holds_up_none_after_it(pool: PgPool) {
    let (last_was_asked, wait_for_last) = watch::channel(false);
    let photo = photo("living-room.jpg");
    let router = Router::new().route(
        "/{name}",
        get(move |Path(name): Path<String>| {
            let (last_was_asked, mut wait_for_last) = (last_was_asked.clone(), wait_for_last.clone());
            async move {
                match name.as_str() {
                    "0.jpg" => drop(wait_for_last.wait_for(|asked| *asked).await),
                    "9.jpg" => drop(last_was_asked.send(true)),
                    _ => {}
                }
                ([(header::CONTENT_TYPE, "image/jpeg")], photo)
            }
        }),
    );
    let port = serve(router).await;
    let app = start_with(pool, &format!("127.0.0.1/32:{port}")).await;
    let client = app.client("A").await;
    let addresses: Vec<String> = (0..10).map(|nth| format!("http://127.0.0.1:{port}/{nth}.jpg")).collect();
    let body = json!({"client_id": client, "assets": addresses});
    let answer = app.post("/api/v3/assets/from-urls", body).await.is(201);
    let names: Vec<&str> = answer["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|asset| asset["name"].as_str())
        .collect();
    assert_eq!(names, (0..10).map(|nth| format!("{nth}.jpg")).collect::<Vec<_>>());
    assert_eq!(answer["meta"]["failed"], 0);
}
