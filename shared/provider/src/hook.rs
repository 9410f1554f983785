//! Sends one webhook (Standard Webhooks) to an address that somebody else chose: only to addresses that were checked, without following
//! a redirect, with an end to the waiting, and reading no more of the answer than its beginning.

use crate::guard::{FetchPolicy, GuardError};
use crate::http::builder;
use crate::webhook::sign;
use crate::wire::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use chrono::{DateTime, Utc};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use secrecy::SecretString;
use std::time::{Duration, Instant};
use url::Url;

/// Bytes of an answer that are read and kept.
pub const ANSWER_BYTES: usize = 1024;

/// A message as it goes out.
#[derive(Debug)]
pub struct Message<'a> {
    /// The same in every try.
    pub id: &'a str,
    /// Now.
    pub at: DateTime<Utc>,
    /// JSON.
    pub body: String,
    /// What signs; several while one replaces another.
    pub secrets: &'a [SecretString],
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// The answer's status, if there was an answer.
    pub status: Option<u16>,
    /// Why there was none, or why it is no good.
    pub error: Option<String>,
    /// Time to the answer, or to the end of the waiting.
    pub took: Duration,
    /// The answer's first bytes as text.
    pub answer: Option<String>,
    /// How long the endpoint asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Reply {
    /// Nothing was sent.
    pub fn not_sent(error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::default() }
    }

    /// Whether the endpoint took it.
    pub fn is_taken(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Whether an address may be sent to, as far as that can be told now.
///
/// # Errors
/// [`GuardError`] says why not. A host that cannot be found now may be there later.
pub async fn check(policy: &FetchPolicy, url: &Url) -> Result<(), GuardError> {
    policy.resolve(url).await.map(drop)
}

/// Sends it and waits for at most `timeout`. Whatever goes wrong is in the reply: the caller writes it down and tries again.
pub async fn send(policy: &FetchPolicy, url: &str, message: Message<'_>, timeout: Duration) -> Reply {
    let begin = Instant::now();
    let mut reply = post(policy, url, message, timeout).await.unwrap_or_else(Reply::not_sent);
    reply.took = begin.elapsed();
    if reply.error.is_none() && !reply.is_taken() {
        let status = reply.status.unwrap_or_default();
        let redirects = (300..400).contains(&status);
        let why = if redirects { ", and redirects are not followed" } else { "" };
        reply.error = Some(format!("the endpoint answered {status}{why}"));
    }
    reply
}

async fn post(
    policy: &FetchPolicy,
    url: &str,
    message: Message<'_>,
    timeout: Duration,
) -> Result<Reply, String> {
    let url: Url = url.parse().map_err(|error| format!("the address is none: {error}"))?;
    let timestamp = message.at.timestamp();
    let mut signatures = Vec::with_capacity(message.secrets.len());
    for secret in message.secrets {
        let signature = sign(secret, message.id, timestamp, message.body.as_bytes());
        signatures.push(signature.map_err(|error| error.to_string())?);
    }
    let addresses = policy.resolve(&url).await.map_err(|error| error.to_string())?;
    // A client for this one message: it can connect to nothing but the checked addresses.
    let client = builder()
        .resolve_to_addrs(url.host_str().unwrap_or_default(), &addresses)
        .timeout(timeout)
        .build()
        .map_err(|error| said(&error, timeout))?;
    let mut answer = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(WEBHOOK_ID, message.id)
        .header(WEBHOOK_TIMESTAMP, timestamp)
        .header(WEBHOOK_SIGNATURE, signatures.join(" "))
        .body(message.body)
        .send()
        .await
        .map_err(|error| said(&error.without_url(), timeout))?;
    let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let status = answer.status().as_u16();
    let mut bytes = Vec::new();
    // The status counts; what is wrong with the rest of the answer changes nothing.
    while bytes.len() < ANSWER_BYTES {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES - bytes.len())]),
            Ok(None) | Err(_) => break,
        }
    }
    Ok(Reply { status: Some(status), answer: Some(text(&bytes)), retry_after, ..Reply::default() })
}

/// As text that a database takes and a terminal survives.
fn text(bytes: &[u8]) -> String {
    let is_shown = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    String::from_utf8_lossy(bytes).chars().filter(is_shown).collect()
}

/// Without the address, which may hold a secret of the caller.
fn said(error: &reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() && !error.is_connect() {
        return format!("no answer within {} s", timeout.as_secs());
    }
    let mut cause = std::error::Error::source(error);
    let mut deepest = None;
    while let Some(error) = cause {
        deepest = Some(error.to_string());
        cause = error.source();
    }
    let what = if error.is_connect() { "could not connect" } else { "the connection failed" };
    deepest.map_or_else(|| what.to_owned(), |why| format!("{what}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_text_that_can_be_kept() {
        assert_eq!(text(b"ok\n"), "ok\n");
        assert_eq!(text(b"a\0b\x1b[31m\xff"), "ab[31m\u{fffd}");
    }

    #[test]
    fn only_two_hundreds_are_taken() {
        for (status, taken) in
            [(None, false), (Some(199), false), (Some(200), true), (Some(299), true), (Some(301), false)]
        {
            assert_eq!(Reply { status, ..Reply::default() }.is_taken(), taken, "{status:?}");
        }
    }
}
