//! The API, the store of media, settings, keys and webhooks; and what it ends with when it cannot look.

use serde_json::Value;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{doctor, installed, run, sql, url};

/// Answers every request like an API whose clock and store are wrong; its address.
async fn sick_api() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or_default();
            let (status, body) = if request[..read].starts_with(b"GET /readyz") {
                (
                    "503 Service Unavailable",
                    r#"{"ready": false, "database": true, "migrations": true, "storage": false}"#,
                )
            } else {
                ("200 OK", r#"{"status": "ok", "version": "0.0.1"}"#)
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ndate: Sat, 01 Jan 2022 00:00:00 GMT\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.ok();
        }
    });
    format!("http://{address}")
}

#[sqlx::test(migrations = false)]
async fn an_api_is_looked_at_from_outside(pool: PgPool) {
    installed(&pool).await;
    let found = doctor(&pool, &["--api", &sick_api().await]).await;
    found.has("api", "error", "the clock of the API is");
    found.has("api", "note", "the API is version 0.0.1");
    found.has("api", "error", "the API is not ready: storage");
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let found = doctor(&pool, &["--api", &format!("http://{nobody}")]).await;
    found.has("api", "error", "does not answer");
}

#[sqlx::test(migrations = false)]
async fn rows_and_files_are_compared(pool: PgPool) {
    installed(&pool).await;
    let folder = tempfile::tempdir().expect("a folder");
    let location = folder.path().join("media");
    let store = spool_media::store::MediaStore::open(location.to_str().expect("utf-8")).expect("a store");
    let mut digests = Vec::new();
    for text in ["whole", "with another length", "without a row", "young", "without a file"] {
        let file = folder.path().join("file");
        std::fs::write(&file, text).expect("written");
        let stored = store.put_file(&file).await.expect("stored");
        let bytes = if text.contains("length") { 3 } else { stored.bytes };
        if !matches!(text, "without a row" | "young") {
            let row = format!(
                "INSERT INTO media (digest, bytes, content_type) VALUES ('{}', {bytes}, 'text/plain')",
                stored.digest
            );
            sql(&pool, &row).await;
        }
        let path = location.join(stored.digest.object_path());
        match text {
            "without a file" => std::fs::remove_file(&path).expect("removed"),
            "young" => {}
            _ => {
                let file = std::fs::File::options().append(true).open(&path).expect("a file");
                let long_ago =
                    std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
                file.set_modified(long_ago).expect("made older");
            }
        }
        digests.push(stored.digest.to_string());
    }
    let arguments = ["--media", "--media-url", location.to_str().expect("utf-8")];
    let found = doctor(&pool, &arguments).await;
    found.has("media", "error", &format!("1 media have a row and no file, 1 MB: {}", digests[4]));
    found.has(
        "media",
        "error",
        &format!("1 files have another length than their row says, 1 MB: {}", digests[1]),
    );
    found.has("media", "note", &format!("1 files have no row, 1 MB: {}", digests[2]));

    sql(&pool, "DELETE FROM media").await;
    let file =
        format!("INSERT INTO media (digest, bytes, content_type) VALUES ('{}', 5, 'text/plain')", digests[0]);
    sql(&pool, &file).await;
    for (index, digest) in digests.iter().enumerate().skip(1) {
        let path = location.join(&digest[..2]).join(&digest[2..4]).join(digest);
        assert!(std::fs::remove_file(path).is_ok() || index == 4);
    }
    doctor(&pool, &arguments).await.is_well("media");
}

#[sqlx::test(migrations = false)]
async fn settings_keys_and_webhooks_are_judged(pool: PgPool) {
    installed(&pool).await;
    let found = doctor(&pool, &[]).await;
    found.has("settings", "note", "not set in this shell");
    found.has("keys", "warning", "there is no API key");
    sql(
        &pool,
        "INSERT INTO api_keys (id, name, secret_hash, scopes, expires_at) VALUES ('abcd', 'k', sha256('x'), '{read}', now() + interval '1 day');
         INSERT INTO jobs (id, type, state, video_name, spec, estimate, estimate_micros, stage) OVERRIDING SYSTEM VALUE
             VALUES (7, 'image_pairs', 'pending', 'v', '{}', '{}', 0, 'x');
         INSERT INTO predictions (id, job_id, purpose, ordinal, attempt, task_id, lease_token, provider, model, input, input_digest, unit, state,
                                  external_id, estimate_micros, cost_micros, output_gone_at)
             SELECT gen_random_uuid(), 7, 'music', n, 1, 1, 1, 'replicate', 'google/veo-3.1-fast', '{}', repeat('0', 64), 'second', 'succeeded', n::text, 1, 1,
                    now() + interval '1 hour' FROM generate_series(1, 10) n;
         INSERT INTO ledger (prediction_id, job_id, model, kind, micros)
             SELECT id, job_id, model, kind, 1 FROM predictions, unnest(ARRAY['reserve', 'settle']) kind",
    )
    .await;
    let found = doctor(&pool, &[]).await;
    found.has("keys", "note", "1 of 1 API keys expire within a week");
    found.has("webhooks", "warning", "10 purchases were settled in the last 24 hours, and 0 webhooks came");
    sql(&pool, "INSERT INTO webhook_deliveries (provider, id) VALUES ('replicate', 'a'); UPDATE api_keys SET expires_at = NULL").await;
    let found = doctor(&pool, &[]).await;
    found.is_well("webhooks");
    found.is_well("keys");
}

#[sqlx::test(migrations = false)]
async fn secrets_are_never_shown_and_people_can_read_it(pool: PgPool) {
    installed(&pool).await;
    let secret = "very-secret-and-not-to-be-shown-anywhere";
    let names = [
        "REPLICATE_API_TOKEN",
        "REPLICATE_WEBHOOK_SECRET",
        "PUBLIC_BASE_URL",
        "SPOOL_SIGNING_KEY",
        "SPOOL_MEDIA_URL",
    ];
    let address = url(&pool);
    let mut environment: Vec<(&str, &str)> = names.iter().map(|name| (*name, secret)).collect();
    environment.push(("DATABASE_URL", &address));
    let output = run(&[], &environment).await;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("warning  settings     REPLICATE_WEBHOOK_SECRET does not look like one"), "{said}");
    assert!(said.contains("do: `spool keys create"), "{said}");
    assert!(said.lines().any(|line| line.ends_with(" well") && line.contains(" warnings, ")), "{said}");
    assert!(!said.contains(secret), "{said}");
}

#[sqlx::test(migrations = false)]
async fn where_it_cannot_look_it_ends_with_2(pool: PgPool) {
    installed(&pool).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let dead = format!("postgres://spool@{nobody}/spool");
    let address = url(&pool);
    for (arguments, database, part) in [
        (&["--json"][..], dead.as_str(), "refused"),
        (&["--media"][..], address.as_str(), "SPOOL_MEDIA_URL"),
        (&["--media", "--media-url", "/no/such/folder"][..], address.as_str(), "there is no such folder"),
        (&["--media", "--media-url", "ftp://x"][..], address.as_str(), "ftp:// is not known"),
    ] {
        let output = run(arguments, &[("DATABASE_URL", database)]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    let output = run(&["--json"], &[("DATABASE_URL", &address)]).await;
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let counted: i64 = report["counts"].as_object().expect("counts").values().filter_map(Value::as_i64).sum();
    assert_eq!(counted, report["findings"].as_array().expect("findings").len() as i64);
}
