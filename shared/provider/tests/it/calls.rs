//! The client's calls: what is sent, what is sent again, and what is never sent twice.

use crate::server::{Reply, Server, answer, nobody, raw};
use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::json;
use spool_provider::client::{Create, FurtherReads, Replicate, ReplicateConfig};
use spool_provider::http::install_crypto;
use spool_provider::verdict::{ProviderError, Verdict};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const PREDICTION: &str = r#"{"id":"p1","model":"google/veo-3.1-fast","version":"hidden","status":"starting",
    "created_at":"2026-11-21T03:00:00.000Z","urls":{"get":"https://x/p1","cancel":"https://x/p1/cancel"}}"#;

fn client(base: &str) -> Replicate {
    install_crypto();
    let config =
        ReplicateConfig { base_url: base.parse().expect("a URL"), token: SecretString::from("r8_hidden") };
    Replicate::with_timeout(config, Duration::from_millis(500)).expect("a client")
}

fn order() -> Create {
    Create {
        model: "google/veo-3.1-fast".into(),
        version: None,
        input: json!({"prompt": "a kitchen"}),
        webhook: Some("https://us.example/hook?prediction=1".into()),
        cancel_after: Some(Duration::from_secs(900)),
    }
}

async fn create(server: &Server) -> Result<String, ProviderError> {
    client(&server.url("/v1")).create(&order()).await.map(|prediction| prediction.id)
}

#[tokio::test]
async fn a_create_says_all_it_should() {
    let server = Server::playing([answer(201, "", PREDICTION), answer(202, "", PREDICTION)]).await;
    let client = client(&server.url("/v1/"));
    client.create(&order()).await.expect("created");
    client.create(&Create { version: Some("a".repeat(64)), ..order() }).await.expect("accepted");
    let requests = server.requests();
    let lower = requests[0].to_ascii_lowercase();
    assert!(requests[0].starts_with("POST /v1/models/google/veo-3.1-fast/predictions HTTP/1.1\r\n"));
    assert!(lower.contains("authorization: bearer r8_hidden\r\n"));
    assert!(lower.contains("cancel-after: 900s\r\n"));
    assert!(!lower.contains("prefer:"), "waiting would widen the time in which the outcome is unknown");
    let (_, body) = requests[0].split_once("\r\n\r\n").expect("a body");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(body).expect("JSON"),
        json!({"input": {"prompt": "a kitchen"}, "webhook": "https://us.example/hook?prediction=1",
               "webhook_events_filter": ["start", "completed"]})
    );
    assert!(requests[1].starts_with("POST /v1/predictions HTTP/1.1\r\n"));
    assert!(requests[1].contains(&"a".repeat(64)));
}

#[tokio::test]
async fn what_may_have_been_created_is_unknown_and_never_posted_again() {
    let table = [
        ("500", answer(500, "", "{}")),
        ("502", answer(502, "", "<html>Bad gateway</html>")),
        ("504", answer(504, "", r#"{"detail":"Gateway timeout"}"#)),
        ("408", answer(408, "", "")),
        ("303", answer(303, "location: /v1/predictions/p1\r\n", "")),
        ("no answer", Reply::Close),
        ("silence", Reply::Silence),
        ("half a head", raw("HTTP/1.1 201 Cre")),
        ("half a body", raw("HTTP/1.1 201 Created\r\ncontent-length: 500\r\n\r\n{\"id\":\"p1\"")),
        ("a page", answer(200, "content-type: text/html\r\n", "<html></html>")),
        ("nothing in it", answer(201, "", "")),
        ("no id", answer(201, "", r#"{"status":"starting"}"#)),
        ("no HTTP", raw("nonsense\r\n\r\n")),
    ];
    for (name, reply) in table {
        let server = Server::playing([reply, answer(201, "", PREDICTION)]).await;
        let error = create(&server).await.expect_err(name);
        assert!(matches!(error.verdict(), Verdict::Unknown { .. }), "{name}: {error:?}");
        assert_eq!(server.requests().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_clear_refusal_created_nothing() {
    let throttled = r#"{"detail":"Request was throttled. Your rate limit resets in ~5s.","retry_after":5}"#;
    let invalid = r#"{"detail":"- input: prompt is required\n","invalid_fields":[]}"#;
    let table = [
        (answer(400, "", "{}"), "fail"),
        (answer(401, "", r#"{"title":"Unauthenticated"}"#), "wait"),
        (answer(402, "", r#"{"title":"Insufficient credit"}"#), "wait"),
        (answer(404, "", "{}"), "fail"),
        (answer(413, "", "{}"), "fail"),
        (answer(422, "", invalid), "fail"),
        (answer(429, "", throttled), "retry"),
        (raw("HTTP/1.1 402 X\r\ncontent-length: 99\r\n\r\n{\"tit"), "wait"),
    ];
    for (reply, expected) in table {
        let server = Server::playing([reply, answer(201, "", PREDICTION)]).await;
        let error = create(&server).await.expect_err("refused");
        let verdict = match error.verdict() {
            Verdict::Fail { .. } => "fail",
            Verdict::Wait { .. } => "wait",
            Verdict::RetryAfter(after) => {
                assert_eq!(after, Duration::from_secs(5));
                "retry"
            }
            Verdict::Unknown { .. } => "unknown",
        };
        assert_eq!(verdict, expected, "{error:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_created() {
    let unreachable = format!("http://{}/v1", nobody().await);
    let plain = Server::playing([raw("HTTP/1.1 400 no TLS here\r\n\r\n")]).await;
    let no_tls = format!("https://{}/v1", plain.address);
    for base in [unreachable.as_str(), &no_tls, "http://nowhere.invalid/v1"] {
        let error = client(base).create(&order()).await.expect_err("no connection");
        assert!(matches!(error.verdict(), Verdict::RetryAfter(_)), "{base}: {error:?}");
    }
}

#[tokio::test]
async fn reads_are_repeated_while_that_can_help() {
    let script = [answer(500, "", ""), Reply::Close, answer(200, "", PREDICTION)];
    let server = Server::playing(script).await;
    assert_eq!(client(&server.url("/v1")).get("p1").await.expect("at last").id, "p1");
    assert_eq!(server.requests().len(), 3);
    assert!(server.requests()[2].starts_with("GET /v1/predictions/p1 HTTP/1.1\r\n"));

    for (status, verdict) in [(404, "Fail"), (401, "Wait"), (429, "RetryAfter")] {
        let server = Server::playing([answer(status, "", "{}"), answer(200, "", PREDICTION)]).await;
        let error = client(&server.url("/v1")).get("p1").await.expect_err("refused");
        assert!(format!("{:?}", error.verdict()).starts_with(verdict), "{error:?}");
        assert_eq!((server.requests().len(), error.status()), (1, Some(status)));
    }
}

#[tokio::test]
async fn a_list_is_complete_or_an_error() {
    let page = |next: &str| {
        answer(200, "", &format!(r#"{{"next":{next},"previous":null,"results":[{PREDICTION}]}}"#))
    };
    let server = Server::playing([page(r#""/v1/predictions?cursor=abc""#), page("null")]).await;
    let from = chrono::DateTime::from_timestamp(1_795_230_062, 0).expect("a time");
    let found = client(&server.url("/v1")).list(Some(from), None).await.expect("both pages");
    assert_eq!(found.len(), 2);
    let requests = server.requests();
    assert!(requests[0].starts_with("GET /v1/predictions?created_after=2026-11-21T03%3A01%3A02.000000Z "));
    assert!(requests[1].starts_with("GET /v1/predictions?cursor=abc "));

    let foreign = Server::playing([page("null")]).await;
    let next = format!("{:?}", foreign.url("/v1/predictions?cursor=abc"));
    let server = Server::playing([page(&next)]).await;
    assert!(client(&server.url("/v1")).list(None, None).await.is_err(), "half a list proves nothing");
    assert_eq!(foreign.requests(), Vec::<String>::new(), "the token stays here");

    let server = Server::playing([page(r#""/v1/predictions?cursor=abc""#), answer(404, "", "{}")]).await;
    assert!(client(&server.url("/v1")).list(None, None).await.is_err());
}

/// Lets so many further requests pass.
#[derive(Debug)]
struct Purse(AtomicU32);

impl FurtherReads for Purse {
    fn one_more(&self) -> BoxFuture<'_, Result<(), Duration>> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        Box::pin(async move { taken.map(|_| ()).map_err(|_| Duration::from_secs(7)) })
    }
}

#[tokio::test]
async fn each_page_and_each_try_beyond_the_first_is_asked_for() {
    let page = |next: &str| {
        answer(200, "", &format!(r#"{{"next":{next},"previous":null,"results":[{PREDICTION}]}}"#))
    };
    let more = r#""/v1/predictions?cursor=abc""#;
    // One further page, then one further try of a read, then nothing is left.
    for (left, pages, tries) in [(0, 1, 1), (1, 2, 1), (2, 3, 1), (3, 3, 2), (4, 3, 3), (9, 3, 3)] {
        let script = [page(more), page(more), page("null")];
        let unavailable = (0..3).map(|_| answer(503, "", "{}"));
        let server = Server::playing(script.into_iter().take(pages).chain(unavailable)).await;
        let client = client(&server.url("/v1")).asking(Arc::new(Purse(AtomicU32::new(left))));
        match client.list(None, None).await {
            Ok(found) => assert_eq!((found.len(), pages), (3, 3)),
            Err(error) => {
                assert_eq!(error.verdict(), Verdict::RetryAfter(Duration::from_secs(7)), "{left}: {error}");
                assert_eq!((error.status(), pages < 3), (None, true), "half a list proves nothing");
            }
        }
        assert_eq!(server.requests().len(), pages, "{left} left");
        let error = client.get("p1").await.expect_err("it is down");
        assert_eq!(error.status(), Some(503));
        assert_eq!(server.requests().len() - pages, tries, "{left} left");
    }
}

#[tokio::test]
async fn the_token_follows_no_redirect() {
    let other = Server::playing([answer(201, "", PREDICTION), answer(200, "", PREDICTION)]).await;
    for status in [301, 302, 307, 308] {
        let location = format!("location: {}\r\n", other.url("/v1/predictions"));
        let script = (0..3).map(|_| answer(status, &location, ""));
        let server = Server::playing(script).await;
        assert!(create(&server).await.is_err());
        assert!(client(&server.url("/v1")).get("p1").await.is_err());
    }
    assert_eq!(other.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn no_secret_is_ever_printed() {
    let server =
        Server::playing([answer(200, "", r#"{"key":"whsec_c2VjcmV0"}"#), answer(401, "", "{}")]).await;
    let client = client(&server.url("/v1"));
    let secret = client.webhook_secret().await.expect("the secret");
    let error = client.account().await.expect_err("refused");
    let printed = format!("{client:?} {secret:?} {error:?} {error}");
    assert!(!printed.contains("r8_hidden") && !printed.contains("c2VjcmV0"), "{printed}");
}

#[tokio::test]
async fn files_and_cancels_go_where_they_should() {
    let file = r#"{"id":"f1","created_at":"2026-11-21T03:00:00Z","urls":{"get":"https://x/f1"}}"#;
    let server = Server::playing([answer(201, "", file), answer(200, "", PREDICTION)]).await;
    let client = client(&server.url("/v1"));
    let bytes = bytes::Bytes::from_static(b"jpeg bytes");
    let kept = client.upload_file("a.jpg", "image/jpeg", bytes).await.expect("kept");
    assert_eq!(kept.urls.get, "https://x/f1");
    client.cancel("../p1").await.expect("canceled");
    let requests = server.requests();
    assert!(requests[0].starts_with("POST /v1/files HTTP/1.1\r\n"));
    assert!(requests[1].starts_with("POST /v1/predictions/..%2Fp1/cancel HTTP/1.1\r\n"), "{}", requests[1]);
}
