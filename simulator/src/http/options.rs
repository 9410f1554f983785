//! What a create request says in its headers, and the shape of its body.

use crate::schema::complaint;
use axum::http::HeaderMap;
use serde_json::{Map, Value};
use spool_provider::wire::{CANCEL_AFTER, CreatePrediction, InvalidField, WebhookEvent};
use std::time::Duration;

const SHORTEST: u64 = 5;
const LONGEST: u64 = 24 * 3600;

/// How long `Prefer: wait` holds the answer back: 1 to 60 seconds, 60 if not said.
pub(crate) fn prefer(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let Some(value) = headers.get("prefer") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let seconds = match text.strip_prefix("wait") {
        Some("") => Some(60),
        Some(rest) => rest.strip_prefix('=').and_then(|digits| digits.parse().ok()),
        None => None,
    };
    match seconds {
        Some(seconds) if (1..=60).contains(&seconds) => Ok(Some(seconds)),
        _ => Err(format!("Invalid Prefer header {text:?}: expected wait or wait=1 to wait=60")),
    }
}

/// `Cancel-After: 30`, `30s`, `5m`, `1h30m45s`; 5 seconds to 24 hours.
pub(crate) fn cancel_after(headers: &HeaderMap) -> Result<Option<Duration>, String> {
    let Some(value) = headers.get(CANCEL_AFTER) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    match seconds(text) {
        Some(seconds) if (SHORTEST..=LONGEST).contains(&seconds) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(format!(
            "Invalid Cancel-After header {text:?}: expected 5s to 24h, such as 90, 30s, 5m or 1h30m45s"
        )),
    }
}

fn seconds(text: &str) -> Option<u64> {
    if let Ok(plain) = text.parse() {
        return Some(plain);
    }
    let mut rest = text;
    let mut total = 0_u64;
    for (unit, length) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((digits, tail)) = rest.split_once(unit) {
            total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(length)?)?;
            rest = tail;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

/// Reads a create body: the service refuses every key that it does not know.
pub(crate) fn body(value: &Value, with_version: bool) -> Result<CreatePrediction, Vec<InvalidField>> {
    const ROOT: &str = "(root)";
    let Some(map) = value.as_object() else {
        return Err(vec![complaint("invalid_type", ROOT, "Invalid type. Expected: object".to_owned())]);
    };
    let mut wrong = Vec::new();
    for key in map.keys() {
        let known = matches!(key.as_str(), "input" | "webhook" | "webhook_events_filter" | "stream")
            || (with_version && key == "version");
        if !known {
            let text = format!("Additional property {key} is not allowed");
            wrong.push(complaint("additional_property_not_allowed", ROOT, text));
        }
    }
    let input: Map<String, Value> = match map.get("input") {
        Some(Value::Object(input)) => input.clone(),
        Some(_) => {
            wrong.push(complaint("invalid_type", "input", "Invalid type. Expected: object".to_owned()));
            Map::new()
        }
        None => {
            wrong.push(complaint("required", ROOT, "input is required".to_owned()));
            Map::new()
        }
    };
    let version = map.get("version").and_then(Value::as_str).map(str::to_owned);
    if with_version && version.is_none() {
        wrong.push(complaint("required", ROOT, "version is required".to_owned()));
    }
    let webhook = map.get("webhook").and_then(Value::as_str).map(str::to_owned);
    if webhook.as_deref().is_some_and(|url| url::Url::parse(url).is_err()) {
        wrong.push(complaint("format", "webhook", "Does not match format 'uri'".to_owned()));
    }
    let filter = map.get("webhook_events_filter").filter(|value| !value.is_null());
    let filter: Option<Vec<WebhookEvent>> = match filter.map(|value| serde_json::from_value(value.clone())) {
        None => None,
        Some(Ok(events)) => Some(events),
        Some(Err(_)) => {
            let text = r#"webhook_events_filter must be one of the following: "start", "output", "logs", "completed""#;
            wrong.push(complaint("enum", "webhook_events_filter", text.to_owned()));
            None
        }
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(CreatePrediction { version, input, webhook, webhook_events_filter: filter })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use serde_json::json;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
    }

    #[test]
    fn prefer_takes_what_the_service_takes() {
        for (text, seconds) in [("wait", 60), ("wait=1", 1), ("wait=60", 60)] {
            assert_eq!(prefer(&headers("prefer", text)), Ok(Some(seconds)));
        }
        for bad in ["wait=0", "wait=61", "respond-async", "wait="] {
            assert!(prefer(&headers("prefer", bad)).is_err(), "{bad}");
        }
        assert_eq!(prefer(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn cancel_after_takes_what_the_service_takes() {
        for (text, seconds) in [("30", 30), ("30s", 30), ("5m", 300), ("1h30m45s", 5445), ("24h", 86400)] {
            assert_eq!(cancel_after(&headers("cancel-after", text)), Ok(Some(Duration::from_secs(seconds))));
        }
        for bad in ["4s", "25h", "soon", "", "5x"] {
            assert!(cancel_after(&headers("cancel-after", bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let wrong = body(&json!({"input": {}, "metadata": {}}), false).unwrap_err();
        assert_eq!(wrong[0].kind, "additional_property_not_allowed");
        assert!(body(&json!({"input": {}, "version": "x"}), false).is_err());
        assert!(body(&json!({"input": {}, "version": "x", "stream": false}), true).is_ok());
        assert!(body(&json!({"input": {}, "webhook_events_filter": ["done"]}), false).is_err());
        assert!(body(&json!({}), false).is_err());
    }
}
