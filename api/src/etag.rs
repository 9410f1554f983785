//! Entity tags and the headers that ask about them.

use http::{HeaderMap, HeaderValue, header};

/// `"…"` around what identifies these exact bytes: a strong tag. `None` when it is not visible ASCII.
pub fn strong(identity: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{identity}\"")).ok()
}

/// Whether `if-none-match` names this tag: then the caller has these bytes. Weak comparison, as RFC 9110 says.
pub fn none_match(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let Ok(tag) = tag.to_str() else { return false };
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|candidate| candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate) == tag)
}

/// Whether `if-match` is absent or names exactly this strong tag.
pub fn matches(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let mut given = headers.get_all(header::IF_MATCH).iter().peekable();
    if given.peek().is_none() {
        return true;
    }
    let Ok(tag) = tag.to_str() else { return false };
    given
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|candidate| candidate == "*" || candidate == tag)
}

/// Whether a `range` may be honoured: there is no `if-range`, or it names exactly this strong tag. A date never
/// matches, since stored media has no modification time.
pub fn range_holds(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|value| value == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_compare_as_the_rfc_says() {
        let tag = strong("17-3").expect("is ascii");
        for (given, same) in [
            ("\"17-3\"", true),
            ("W/\"17-3\"", true),
            ("\"17-2\", \"17-3\"", true),
            ("*", true),
            ("\"17-2\"", false),
            ("17-3", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(given).expect("header"));
            assert_eq!(none_match(&headers, &tag), same, "{given}");
        }
        for (given, same) in [
            ("\"17-3\"", true),
            ("\"17-2\", \"17-3\"", true),
            ("*", true),
            ("W/\"17-3\"", false),
            ("\"17-2\"", false),
        ] {
            let mut headers = HeaderMap::new();
            assert!(matches(&headers, &tag));
            headers.insert(header::IF_MATCH, HeaderValue::from_str(given).expect("header"));
            assert_eq!(matches(&headers, &tag), same, "{given}");
        }
        let mut headers = HeaderMap::new();
        assert!(range_holds(&headers, &tag));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("W/\"17-3\""));
        assert!(!range_holds(&headers, &tag), "a weak tag never matches");
        headers.insert(header::IF_RANGE, tag.clone());
        assert!(range_holds(&headers, &tag));
    }
}
