//! Downloads: whole, bounded, media, from where they may come.

use crate::server::{Reply, Server, answer, raw};
use sha2::Digest;
use spool_provider::download::{Bounds, DownloadError, Downloaded, fetch};
use spool_provider::guard::{FetchPolicy, GuardError};
use spool_provider::http::install_crypto;
use std::time::Duration;

const LIMIT: u64 = 100;

async fn get(policy: &str, url: &str) -> Result<(Downloaded, Vec<u8>), DownloadError> {
    get_within(policy, url, Bounds::of(LIMIT)).await
}

async fn get_within(policy: &str, url: &str, bounds: Bounds) -> Result<(Downloaded, Vec<u8>), DownloadError> {
    install_crypto();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let policy: FetchPolicy = policy.parse().expect("a policy");
    let downloaded = fetch(&policy, url, &path, bounds).await?;
    Ok((downloaded, std::fs::read(&path).expect("the file")))
}

async fn get_from(reply: Reply) -> Result<(Downloaded, Vec<u8>), DownloadError> {
    let server = Server::playing([reply]).await;
    let result = get("127.0.0.0/8", &server.url("/out.mp4?sig=1")).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let head = requests[0].to_ascii_lowercase();
    assert!(!head.contains("authorization") && !head.contains("cookie"), "nothing is sent along");
    result
}

#[tokio::test]
async fn a_whole_file_arrives_with_its_digest() {
    let (downloaded, bytes) =
        get_from(answer(200, "content-type: video/mp4\r\n", "some bytes")).await.expect("whole");
    assert_eq!(bytes, b"some bytes");
    let digest = sha2::Sha256::digest(b"some bytes");
    assert_eq!(downloaded.sha256, spool_job::canonical::hex(&digest));
    assert_eq!((downloaded.bytes, downloaded.content_type.as_deref()), (10, Some("video/mp4")));
    let unannounced = raw("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nsome bytes");
    assert_eq!(get_from(unannounced).await.expect("to the end").1, b"some bytes");
}

#[tokio::test]
async fn what_is_not_the_file_is_told_apart() {
    let long = "x".repeat(101);
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n65\r\n{long}\r\n0\r\n\r\n");
    let table = [
        ("Truncated", raw("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nonly this")),
        ("Transport", raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n65\r\nonly this")),
        ("Transport", Reply::Close),
        ("TooLarge", answer(200, "", &long)),
        ("TooLarge", raw(&chunked)),
        ("Empty", answer(200, "", "")),
        ("NotMedia", answer(200, "content-type: text/html; charset=utf-8\r\n", "bytes")),
        ("NotMedia", answer(200, "content-type: application/json\r\n", "bytes")),
        ("NotMedia", answer(200, "content-type: video/mp4\r\n", "\n <!doctype html>")),
        ("NotMedia", answer(200, "", "\u{feff}<html>")),
        ("NotMedia", answer(200, "", r#"{"detail":"expired"}"#)),
        ("Gone", answer(403, "", "")),
        ("Gone", answer(404, "", "")),
        ("Gone", answer(410, "", "")),
        ("Status", answer(500, "", "")),
        ("Status", answer(206, "", "part")),
        ("Redirects", answer(302, "", "")),
    ];
    for (expected, reply) in table {
        let error = get_from(reply).await.expect_err(expected);
        assert!(format!("{error:?}").starts_with(expected), "{expected}: {error:?}");
        assert!(!error.to_string().contains("sig="), "an address may carry a signature");
    }
}

#[tokio::test]
async fn neither_a_server_that_says_nothing_nor_one_that_drips_holds_us_up() {
    const LONG: Duration = Duration::from_secs(600);
    let begun = "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n";
    for reply in [Reply::Silence, Reply::Hang(begun.into()), Reply::Hang(format!("{begun}some bytes").into())]
    {
        let server = Server::playing([reply]).await;
        let bounds = Bounds { silence: Duration::from_millis(200), total: LONG, ..Bounds::of(LIMIT) };
        let error = get_within("127.0.0.0/8", &server.url("/"), bounds).await.expect_err("no file");
        assert!(matches!(&error, DownloadError::Transport(why) if why.is_timeout()), "{error:?}");
        assert!(!error.is_final(), "another try may do");
    }
    // Each byte comes in time, the file does not; nor does a chain of redirects to it.
    let server = Server::playing([answer(302, "location: /there\r\n", ""), Reply::Drip(begun.into())]).await;
    let bounds = Bounds { silence: LONG, total: Duration::from_millis(500), ..Bounds::of(LIMIT) };
    let error = get_within("127.0.0.0/8", &server.url("/"), bounds).await.expect_err("no file");
    assert!(matches!(&error, DownloadError::TooLong(_)), "{error:?}");
    assert!(error.to_string().contains("0.5 s") && !error.is_final());
}

#[tokio::test]
async fn private_addresses_are_refused_before_any_byte() {
    let server = Server::playing([answer(200, "", "secret")]).await;
    let port = server.address.port();
    let elsewhere = format!("127.0.0.1/32:{}", port ^ 1);
    for (policy, host) in
        [("", "127.0.0.1"), (&elsewhere, "127.0.0.1"), ("", "localhost"), ("", "[::ffff:127.0.0.1]")]
    {
        let error = get(policy, &format!("http://{host}:{port}/")).await.expect_err("refused");
        assert!(matches!(error, DownloadError::Refused(GuardError::Private(_))), "{host}: {error:?}");
        assert!(error.is_final());
    }
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn every_redirect_is_checked_like_the_first_address() {
    let inside = Server::playing([answer(200, "", "secret"), answer(200, "", "secret")]).await;
    let to = |url: &str| answer(302, &format!("location: {url}\r\n"), "");
    let outside = Server::playing([
        to(&inside.url("/")),
        to("file:///etc/passwd"),
        to("/moved"),
        answer(200, "", "moved bytes"),
    ])
    .await;
    let policy = format!("127.0.0.1/32:{}", outside.address.port());
    for _ in 0..2 {
        let error = get(&policy, &outside.url("/a")).await.expect_err("refused");
        assert!(matches!(error, DownloadError::Refused(_)), "{error:?}");
    }
    assert_eq!(inside.requests(), Vec::<String>::new());
    assert_eq!(get(&policy, &outside.url("/a")).await.expect("a move within").1, b"moved bytes");

    let circle = Server::playing((0..9).map(|_| to("/again"))).await;
    let error = get("127.0.0.0/8", &circle.url("/")).await.expect_err("a circle");
    assert!(matches!(error, DownloadError::Redirects), "{error:?}");
    assert_eq!(circle.requests().len(), 6);
}
