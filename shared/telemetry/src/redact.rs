//! What must never stand in a log line, and how it is taken out of one. Every text of every line passes [`text`], whoever wrote it
//! and at whatever level:
//!
//! - the secrets of this process, which it names at start with [`keep_out`];
//! - what looks like a key, a token or a signature, and of a link all but its origin;
//! - within [`privately`], whatever shares a phrase with a text that was named by [`keep_private`]: a prompt, which a provider may
//!   repeat in the words of a refusal.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::future::Future;
use std::sync::{PoisonError, RwLock};

/// Stands in the place of what was taken out.
const GONE: &str = "[redacted]";
/// Shorter ones would take ordinary words out of lines.
const SHORTEST_SECRET: usize = 8;
/// Bytes in a row that a line may not share with a private text.
const PHRASE: usize = 16;
/// A private text that is shorter than a phrase is taken out where it stands whole, from this length.
const SHORTEST_PRIVATE: usize = 4;

static SECRETS: RwLock<Vec<String>> = RwLock::new(Vec::new());

tokio::task_local! {
    static PRIVATE: RefCell<Vec<String>>;
}

/// Takes a secret of this process out of every line from now on: of a list between commas each, of an address its password.
pub fn keep_out(secret: &str) {
    let password = secret.split_once("://").and_then(|(_, rest)| {
        let (account, _) = rest.split(['/', '?']).next()?.rsplit_once('@')?;
        Some(account.split_once(':')?.1)
    });
    let parts = if secret.contains("://") { "" } else { secret }.split(',');
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    for secret in parts.chain(password).map(str::trim) {
        if secret.len() >= SHORTEST_SECRET && !secrets.iter().any(|known| known == secret) {
            secrets.push(secret.to_owned());
        }
    }
}

/// The same for what the environment calls a secret.
pub(crate) fn keep_out_environment() {
    let is_secret =
        |name: &str| ["_TOKEN", "_SECRET", "_KEY", "PASSWORD"].iter().any(|ending| name.ends_with(ending));
    for (name, value) in std::env::vars_os() {
        if let (true, Some(value)) = (is_secret(&name.to_string_lossy()), value.to_str()) {
            keep_out(value);
        }
    }
}

/// The future, within which [`keep_private`] works.
pub async fn privately<F: Future>(inner: F) -> F::Output {
    PRIVATE.scope(RefCell::default(), inner).await
}

/// Takes what shares a phrase with this text out of every line that is written in the rest of [`privately`].
pub fn keep_private(text: &str) {
    let known = |private: &RefCell<Vec<String>>| {
        let mut private = private.borrow_mut();
        if text.len() >= SHORTEST_PRIVATE && !private.iter().any(|known| known == text) {
            private.push(text.to_owned());
        }
    };
    PRIVATE.try_with(known).ok();
}

/// The text as it may be written.
pub fn text(raw: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(raw);
    for secret in SECRETS.read().unwrap_or_else(PoisonError::into_inner).iter() {
        if text.contains(secret.as_str()) {
            text = Cow::Owned(text.replace(secret.as_str(), GONE));
        }
    }
    PRIVATE
        .try_with(|private| {
            for private in private.borrow().iter() {
                if let Some(covered) = without_phrases(&text, private) {
                    text = Cow::Owned(covered);
                }
            }
        })
        .ok();
    match without_patterns(&text) {
        Some(clean) => Cow::Owned(clean),
        None => text,
    }
}

/// The text without what it shares with a private one; none if that is nothing.
fn without_phrases(text: &str, private: &str) -> Option<String> {
    if private.len() < PHRASE {
        return text.contains(private).then(|| text.replace(private, GONE));
    }
    if text.len() < PHRASE {
        return None;
    }
    let phrases: HashSet<&[u8]> = private.as_bytes().windows(PHRASE).collect();
    let mut shared = vec![false; text.len()];
    for (start, window) in text.as_bytes().windows(PHRASE).enumerate() {
        if phrases.contains(window) {
            shared[start..start + PHRASE].fill(true);
        }
    }
    if !shared.contains(&true) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut before = false;
    for (start, c) in text.char_indices() {
        let hidden = shared[start..start + c.len_utf8()].contains(&true);
        if !hidden {
            out.push(c);
        } else if !before {
            out.push_str(GONE);
        }
        before = hidden;
    }
    Some(out)
}

/// What ends a word: what people put around links and keys.
fn is_end(c: char) -> bool {
    c.is_whitespace() || "\"'`()<>[]{},;\\".contains(c)
}

/// The text without what looks like a secret; none if nothing does.
fn without_patterns(text: &str) -> Option<String> {
    if !may_hide(text) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut after_bearer = false;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_end).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        if !word.is_empty() {
            match if after_bearer { Some(GONE.to_owned()) } else { clean_word(word) } {
                Some(clean) => out.push_str(&clean),
                None => out.push_str(word),
            }
            after_bearer = word.eq_ignore_ascii_case("bearer");
        }
        let next = tail.find(|c| !is_end(c)).unwrap_or(tail.len());
        out.push_str(&tail[..next]);
        rest = &tail[next..];
    }
    (out != text).then_some(out)
}

/// Whether there is anything in the text that [`clean_word`] looks for. Most texts are ids, words and paths: this one look is all that
/// they need, which a line of every request feels.
fn may_hide(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| {
        let before = at.checked_sub(1).map(|before| bytes[before]);
        match byte {
            b'=' => true,
            b':' => bytes[at..].starts_with(b"://"),
            // Of `r8_`, `whsec_` and `spool_`.
            b'_' => matches!(before, Some(b'8' | b'c' | b'l')),
            // Of `xai-`, `sk-` and `X-Amz-`.
            b'-' => matches!(before, Some(b'i' | b'k' | b'X')),
            b'b' | b'B' => bytes[at..].get(..6).is_some_and(|word| word.eq_ignore_ascii_case(b"bearer")),
            _ => false,
        }
    })
}

/// How keys of those we talk to begin.
const KEYS: [&str; 4] = ["r8_", "whsec_", "xai-", "sk-"];
/// Parameters whose value is a secret, wherever they stand.
const PARAMETERS: [&str; 7] = ["sig=", "signature=", "token=", "password=", "secret=", "key=", "X-Amz-"];

/// The word as it may stand; none if it may stand as it is.
fn clean_word(word: &str) -> Option<String> {
    if let Some(at) = word.find("://") {
        return clean_link(word, at);
    }
    if let Some((before, query)) = word.split_once('?').filter(|(_, query)| query.contains('=')) {
        let _ = query;
        return Some(format!("{before}?{GONE}"));
    }
    if let Some(at) = PARAMETERS.iter().filter_map(|name| word.find(name)).min() {
        return Some(format!("{}{GONE}", &word[..at]));
    }
    let at = KEYS.iter().filter_map(|prefix| starts(word, prefix, 8)).chain(own_key(word)).min()?;
    Some(format!("{}{GONE}", &word[..at]))
}

/// Of a link only scheme and host: what follows may be a signature, a capability or a name.
fn clean_link(word: &str, at: usize) -> Option<String> {
    let after = at + "://".len();
    let end = word[after..].find(['/', '?', '#']).map_or(word.len(), |end| after + end);
    let authority = &word[after..end];
    let host = authority.rsplit('@').next().unwrap_or_default();
    let more = word[end..].trim_start_matches('/');
    if host.len() == authority.len() && more.is_empty() {
        return None;
    }
    let more = if more.is_empty() { "" } else { "/[redacted]" };
    Some(format!("{}{host}{more}", &word[..after]))
}

/// Where in the word a key with this prefix begins, with at least so many characters after it.
fn starts(word: &str, prefix: &str, least: usize) -> Option<usize> {
    let at = word.find(prefix)?;
    let boundary = !word[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    let long = word[at + prefix.len()..].bytes().take_while(u8::is_ascii_graphic).count() >= least;
    (boundary && long).then_some(at)
}

/// `spool_<id>_<secret>`.
fn own_key(word: &str) -> Option<usize> {
    let at = starts(word, "spool_", 4 + 1 + 16)?;
    let (id, secret) = word[at + "spool_".len()..].split_once('_')?;
    let is_id = id.len() >= 4 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let random = secret.bytes().take_while(u8::is_ascii_alphanumeric).count();
    (is_id && random >= 16).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_goes_and_the_rest_stays() {
        for (raw, wanted) in [
            ("plain words, nothing else", "plain words, nothing else"),
            ("job_id is 17, a-b_c", "job_id is 17, a-b_c"),
            ("get https://a.example/x?sig=1 failed", "get https://a.example/[redacted] failed"),
            ("(https://a.example/out.mp4)", "(https://a.example/[redacted])"),
            ("listening on http://127.0.0.1:8080", "listening on http://127.0.0.1:8080"),
            ("postgres://spool:hunter22@db/spool", "postgres://db/[redacted]"),
            ("/api/v3/media/1/first.jpg?exp=1&sig=abc", "/api/v3/media/1/first.jpg?[redacted]"),
            ("exp=1&sig=abc", "exp=1&[redacted]"),
            ("why? because=1", "why? because=1"),
            ("token r8_abcdefgh1234", "token [redacted]"),
            ("Authorization: Bearer anything-at-all", "Authorization: Bearer [redacted]"),
            ("bearer\tabc", "bearer\t[redacted]"),
            ("key spool_0123456789abcdef_0123456789abcdef0123", "key [redacted]"),
            ("spool_queue_oldest_ready_age_seconds", "spool_queue_oldest_ready_age_seconds"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "[redacted]"),
            ("x=\"xai-1234567890\"", "x=\"[redacted]\""),
        ] {
            assert_eq!(text(raw), wanted, "{raw}");
        }
        for raw in KEYS.iter().chain(&PARAMETERS).chain(&["spool_", "://", "a?b=c", "bEARER"]) {
            assert!(may_hide(&format!("see {raw}")), "{raw} is looked for");
        }
        assert!(!may_hide("0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e") && !may_hide("/api/v3/jobs/{id}"));
    }

    #[test]
    fn secrets_of_the_process_go_wherever_they_stand() {
        keep_out("correct horse battery");
        keep_out("short");
        assert_eq!(text("it is <correct horse battery>, short"), "it is <[redacted]>, short");
        keep_out("postgres://spool:a-long-password@db.example/spool");
        keep_out("first-of-the-keys, second-of-the-keys");
        assert_eq!(text("a-long-password db.example first-of-the-keys"), "[redacted] db.example [redacted]");
    }

    #[tokio::test]
    async fn a_private_text_goes_even_in_pieces_and_only_inside() {
        let prompt = "a lighthouse at dawn, seen from the sea, gulls above";
        let said = "422: input.prompt: \"lighthouse at dawn, seen from\" is refused";
        privately(async {
            keep_private(prompt);
            keep_private("fjord");
            assert_eq!(text(said), "422: input.prompt: \"[redacted]\" is refused");
            assert_eq!(text(prompt), GONE);
            assert_eq!(text("the fjord, and dawn"), "the [redacted], and dawn");
            assert_eq!(text("ümläüte a lighthouse at dawn, ü"), "ümläüte [redacted]ü");
        })
        .await;
        assert_eq!(text(said), said);
    }
}
