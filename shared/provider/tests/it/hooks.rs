//! Webhooks that go out: signed, bounded, only to where they may go.

use crate::server::{Reply as Play, Server, answer, nobody, raw};
use chrono::DateTime;
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use spool_provider::guard::FetchPolicy;
use spool_provider::hook::{ANSWER_BYTES, Message, Reply, send};
use spool_provider::http::install_crypto;
use spool_provider::webhook::verify;
use std::time::Duration;

const ID: &str = "5f0c7a52-1d0e-4a3e-9f53-0d7c1a3a8b11";
const BODY: &str = r#"{"type":"job.completed","data":{"job_id":17}}"#;
const OLD: &str = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY";
const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Longer than any answer here takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn send_to(policy: &str, url: &str, secrets: &[&str], timeout: Duration) -> Reply {
    install_crypto();
    let policy: FetchPolicy = policy.parse().expect("a policy");
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
    let at = DateTime::from_timestamp(1_795_230_062, 0).expect("a time");
    let message = Message { id: ID, at, body: BODY.to_owned(), secrets: &secrets };
    send(&policy, url, message, timeout).await
}

async fn send_into(play: Play) -> Reply {
    let server = Server::playing([play]).await;
    send_to("127.0.0.0/8", &server.url("/hook?token=hidden"), &[OLD], PATIENCE).await
}

#[tokio::test]
async fn what_arrives_is_verified_by_the_old_secret_and_by_the_new_one() {
    let server = Server::playing([answer(204, "", "")]).await;
    let reply = send_to("127.0.0.0/8", &server.url("/hook"), &[NEW, OLD], PATIENCE).await;
    assert!(reply.is_taken() && reply.error.is_none(), "{reply:?}");
    let requests = server.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").expect("a head and a body");
    assert_eq!(body, BODY);
    assert!(head.starts_with("POST /hook HTTP/1.1"), "{head}");
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
        let name: HeaderName = name.parse().expect("a name");
        headers.insert(name, HeaderValue::from_str(value).expect("a value"));
    }
    assert_eq!(headers["content-type"], "application/json");
    let now = DateTime::from_timestamp(1_795_230_100, 0).expect("a time");
    for secret in [OLD, NEW] {
        let verified =
            verify(&SecretString::from(secret), &headers, body.as_bytes(), now).expect("is signed");
        assert_eq!((verified.id.as_str(), verified.timestamp), (ID, 1_795_230_062));
    }
    assert!(verify(&SecretString::from("whsec_AAAA"), &headers, body.as_bytes(), now).is_err());
}

#[tokio::test]
async fn answers_are_told_apart_and_kept_up_to_a_bound() {
    let long = "x".repeat(3 * ANSWER_BYTES);
    let cases = [
        (answer(200, "", "thanks"), Some(200), "", "thanks"),
        (answer(500, "", "boom"), Some(500), "the endpoint answered 500", "boom"),
        (answer(410, "", ""), Some(410), "the endpoint answered 410", ""),
        (answer(200, "", &long), Some(200), "", &long[..ANSWER_BYTES]),
        // The status is what counts.
        (raw("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nonly this"), Some(200), "", "only this"),
        (Play::Close, None, "the connection failed", ""),
    ];
    for (play, status, error, text) in cases {
        let reply = send_into(play).await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(reply.answer.as_deref().unwrap_or_default(), text);
        let said = reply.error.clone().unwrap_or_default();
        assert_eq!(said.is_empty(), error.is_empty(), "{reply:?}");
        assert!(said.starts_with(error) && !said.contains("hidden"), "{reply:?}");
    }
    let reply = send_into(answer(429, "retry-after: 120\r\n", "")).await;
    assert_eq!(reply.retry_after, Some(Duration::from_secs(120)));
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let inside = Server::playing([answer(200, "", "secret")]).await;
    let reply = send_into(answer(307, &format!("location: {}\r\n", inside.url("/")), "")).await;
    assert_eq!(reply.status, Some(307));
    assert_eq!(reply.error.as_deref(), Some("the endpoint answered 307, and redirects are not followed"));
    assert_eq!(inside.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn private_addresses_and_odd_ones_get_nothing() {
    let server = Server::playing([answer(200, "", "")]).await;
    let port = server.address.port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://me:pw@127.0.0.1:{port}/"),
        "ftp://example.com/".to_owned(),
        "nonsense".to_owned(),
    ] {
        let reply = send_to("", &url, &[OLD], PATIENCE).await;
        assert!(reply.status.is_none() && reply.error.is_some(), "{url}: {reply:?}");
    }
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn silence_has_an_end() {
    let server = Server::playing([Play::Silence]).await;
    let reply = send_to("127.0.0.0/8", &server.url("/"), &[OLD], Duration::from_secs(1)).await;
    assert_eq!((reply.status, reply.error.as_deref()), (None, Some("no answer within 1 s")));
    let url = format!("http://{}/", nobody().await);
    let reply = send_to("127.0.0.0/8", &url, &[OLD], PATIENCE).await;
    let error = reply.error.expect("nobody is there");
    assert!(error.starts_with("could not connect"), "{error}");
}
