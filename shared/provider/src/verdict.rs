//! What an error of a provider means for the money: whether something may have been created, and
//! what to do next.

use crate::wire::ProblemBody;
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// What to do after an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was created; the same call may be made after this long.
    RetryAfter(Duration),
    /// Nothing was created, and nothing will be until somebody acts (no credit, bad token).
    Wait {
        /// What is wrong, for operators.
        why: String,
    },
    /// Nothing was created, and the same call will never work.
    Fail {
        /// Stable word.
        code: String,
        /// Sentence.
        message: String,
    },
    /// It may have been created. Never call again: look for it.
    Unknown {
        /// What happened.
        why: String,
    },
}

/// A call that did not give what was asked.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation}: {message}")]
pub struct ProviderError {
    operation: &'static str,
    status: Option<u16>,
    message: String,
    verdict: Verdict,
    #[source]
    source: Option<reqwest::Error>,
}

/// Whether a repeated call can cost money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Reading, or stopping something: harmless.
    None,
    /// It creates something that is paid for.
    Creates,
}

/// Rest before a call is made again when the provider does not say how long.
const DEFAULT_REST: Duration = Duration::from_secs(5);
/// Longest rest that a provider's word is taken for.
const LONGEST_REST: Duration = Duration::from_secs(600);

impl ProviderError {
    /// What to do next.
    pub fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    /// One word for counters.
    pub fn outcome(&self) -> &'static str {
        match (&self.verdict, self.status, &self.source) {
            (Verdict::RetryAfter(_), Some(429), _) => "throttled",
            (Verdict::RetryAfter(_), None, None) => "not_asked",
            (Verdict::RetryAfter(_), _, _) => "unavailable",
            (Verdict::Wait { .. }, _, _) => "wait",
            (Verdict::Fail { .. }, _, _) => "fail",
            (Verdict::Unknown { .. }, _, _) => "unknown",
        }
    }

    /// The HTTP status, if an answer came.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// With 429: the creates a minute that the provider takes for now, where it says that they are fewer than usual (low credit).
    pub fn lowered_rate(&self) -> Option<u32> {
        let (_, tail) = self.message.split_once("reduced to ")?;
        let (number, rest) = tail.split_once(' ')?;
        rest.starts_with("requests per minute").then(|| number.parse().ok()).flatten()
    }

    /// What was being done.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// A call that cannot be made as configured.
    pub(crate) fn refused(operation: &'static str, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let verdict = Verdict::Fail { code: code.to_owned(), message: message.clone() };
        Self { operation, status: None, message, verdict, source: None }
    }

    /// A read that was not made: as many as may be have been.
    pub(crate) fn not_now(operation: &'static str, rest: Duration) -> Self {
        let message = "the rate of reads is used up".to_owned();
        Self { operation, status: None, message, verdict: Verdict::RetryAfter(rest), source: None }
    }

    /// No answer, or not a whole one.
    pub(crate) fn transport(operation: &'static str, effect: Effect, source: reqwest::Error) -> Self {
        // A URL may carry a signature; errors carry none.
        let source = source.without_url();
        let (message, verdict) = if source.is_builder() {
            let message = "the request could not be built".to_owned();
            (message.clone(), Verdict::Fail { code: "bad_request".into(), message })
        } else if source.is_connect() {
            ("no connection to the provider".to_owned(), Verdict::RetryAfter(DEFAULT_REST))
        } else {
            let message = if source.is_timeout() { "no answer in time" } else { "the answer was lost" };
            let verdict = match effect {
                Effect::None => Verdict::RetryAfter(DEFAULT_REST),
                Effect::Creates => Verdict::Unknown { why: message.to_owned() },
            };
            (message.to_owned(), verdict)
        };
        Self { operation, status: None, message, verdict, source: Some(source) }
    }

    /// An answer that says success but cannot be read.
    pub(crate) fn unreadable(
        operation: &'static str,
        effect: Effect,
        status: StatusCode,
        why: &dyn std::fmt::Display,
    ) -> Self {
        let message = format!("the answer ({status}) cannot be read: {why}");
        let verdict = match effect {
            Effect::None => Verdict::RetryAfter(DEFAULT_REST),
            Effect::Creates => Verdict::Unknown { why: message.clone() },
        };
        Self { operation, status: Some(status.as_u16()), message, verdict, source: None }
    }

    /// An answer that says no.
    pub(crate) fn answer(
        operation: &'static str,
        effect: Effect,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let problem = ProblemBody::parse(body);
        let said = problem.detail.clone().or(problem.title.clone()).unwrap_or_else(|| status.to_string());
        let said = crate::failure::sayable(&said);
        let message = format!("{}: {}", status.as_u16(), said.trim());
        let fail = |code: &str| Verdict::Fail { code: code.to_owned(), message: said.trim().to_owned() };
        let verdict = match status.as_u16() {
            401 | 403 => {
                Verdict::Wait { why: format!("the provider refuses the token ({})", status.as_u16()) }
            }
            402 => Verdict::Wait { why: "the provider account has no credit".to_owned() },
            404 => fail("not_found"),
            413 => fail("too_large"),
            422 => fail("invalid_input"),
            429 => Verdict::RetryAfter(retry_after(&problem, headers)),
            // Sent elsewhere before anyone looked at it: the base URL is wrong.
            301 | 307 | 308 => fail("redirected"),
            // A timeout may be a gateway's, after the provider had the request.
            400..=499 if status != StatusCode::REQUEST_TIMEOUT => fail("bad_request"),
            _ => match effect {
                Effect::None => Verdict::RetryAfter(DEFAULT_REST),
                // A gateway may time out after the prediction was created.
                Effect::Creates => {
                    Verdict::Unknown { why: format!("the provider answered {}", status.as_u16()) }
                }
            },
        };
        Self { operation, status: Some(status.as_u16()), message, verdict, source: None }
    }
}

/// The body's field, then the header, then the sentence.
fn retry_after(problem: &ProblemBody, headers: &HeaderMap) -> Duration {
    let header = || headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = problem
        .retry_after
        .or_else(header)
        .or_else(|| problem.seconds_in_detail().map(|seconds| seconds as f64))
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    seconds.map_or(DEFAULT_REST, |seconds| Duration::from_secs_f64(seconds.min(LONGEST_REST.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn verdict(status: u16, body: &str, effect: Effect) -> Verdict {
        let status = StatusCode::from_u16(status).unwrap();
        ProviderError::answer("create a prediction", effect, status, &HeaderMap::new(), body.as_bytes())
            .verdict()
    }

    #[test]
    fn only_what_may_exist_is_unknown() {
        for status in [303, 408, 500, 502, 503, 504, 522] {
            assert!(matches!(verdict(status, "", Effect::Creates), Verdict::Unknown { .. }), "{status}");
            assert!(matches!(verdict(status, "", Effect::None), Verdict::RetryAfter(_)), "{status}");
        }
        for status in [301, 307, 308, 400, 404, 413, 422] {
            assert!(matches!(verdict(status, "{}", Effect::Creates), Verdict::Fail { .. }), "{status}");
        }
        for status in [401, 402] {
            assert!(matches!(verdict(status, "{}", Effect::Creates), Verdict::Wait { .. }), "{status}");
        }
    }

    #[test]
    fn only_a_429_counts_as_throttled() {
        let outcome = |status: u16, effect| {
            let status = StatusCode::from_u16(status).unwrap();
            ProviderError::answer("x", effect, status, &HeaderMap::new(), b"").outcome()
        };
        for (status, effect, wanted) in [
            (429, Effect::Creates, "throttled"),
            (429, Effect::None, "throttled"),
            (503, Effect::None, "unavailable"),
            (503, Effect::Creates, "unknown"),
            (402, Effect::Creates, "wait"),
            (422, Effect::Creates, "fail"),
        ] {
            assert_eq!(outcome(status, effect), wanted, "{status}");
        }
        let unreadable = ProviderError::unreadable("x", Effect::None, StatusCode::OK, &"no JSON");
        assert_eq!(unreadable.outcome(), "unavailable");
        assert_eq!(ProviderError::not_now("x", Duration::from_secs(1)).outcome(), "not_asked");
    }

    #[test]
    fn the_body_says_how_long_before_the_header_before_the_sentence() {
        let observed = r#"{"detail":"Request was throttled. Your rate limit resets in ~5s.","status":429,"retry_after":7}"#;
        assert_eq!(verdict(429, observed, Effect::Creates), Verdict::RetryAfter(Duration::from_secs(7)));
        let documented = r#"{"detail":"Request was throttled. Your rate limit resets in ~30s."}"#;
        assert_eq!(verdict(429, documented, Effect::Creates), Verdict::RetryAfter(Duration::from_secs(30)));
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("11"));
        let error =
            ProviderError::answer("x", Effect::None, StatusCode::TOO_MANY_REQUESTS, &headers, b"slow down");
        assert_eq!(error.verdict(), Verdict::RetryAfter(Duration::from_secs(11)));
    }

    #[test]
    fn a_lowered_rate_is_read_from_the_sentence() {
        for (detail, rate) in [
            (
                "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute with a burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~5s.",
                Some(6),
            ),
            ("Request was throttled. Your rate limit resets in ~5s.", None),
            ("reduced to nothing", None),
        ] {
            let body = serde_json::json!({"detail": detail, "status": 429, "retry_after": 5}).to_string();
            let error = ProviderError::answer(
                "x",
                Effect::Creates,
                StatusCode::TOO_MANY_REQUESTS,
                &HeaderMap::new(),
                body.as_bytes(),
            );
            assert_eq!(error.lowered_rate(), rate, "{detail}");
        }
    }

    #[test]
    fn the_message_names_operation_status_and_what_was_said() {
        let body = r#"{"detail":"- input: prompt is required\n","status":422}"#;
        let error = ProviderError::answer(
            "create a prediction",
            Effect::Creates,
            StatusCode::UNPROCESSABLE_ENTITY,
            &HeaderMap::new(),
            body.as_bytes(),
        );
        assert_eq!(error.to_string(), "could not create a prediction: 422: - input: prompt is required");
    }
}
