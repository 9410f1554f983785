//! What a failed prediction's error text means: worth another try, after how long, and whether the
//! provider charges for the run. Codes and habits as observed; a text nobody knows is not retried.

use std::time::Duration;

/// What the provider charges for a run that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// Nothing.
    None,
    /// What it produced, as its metrics say.
    Produced,
}

/// A class of failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureClass {
    /// The provider's code, or a word for what the text says.
    pub code: String,
    /// Whether buying another can help.
    pub retryable: bool,
    /// How often another may be bought for this reason before it counts as lasting.
    pub retries: u32,
    /// What this run cost.
    pub charge: Charge,
    first: u64,
    growth: Growth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    Doubling,
    Square,
}

/// Longest rest between two tries.
const LONGEST: Duration = Duration::from_secs(120);
/// Longest rest while the provider is crowded: places come free all the time.
const LONGEST_CROWDED: Duration = Duration::from_secs(90);

impl FailureClass {
    fn new(code: &str, retries: u32, first: u64, charge: Charge) -> Self {
        Self {
            code: code.to_owned(),
            retryable: retries > 0,
            retries,
            charge,
            first,
            growth: Growth::Doubling,
        }
    }

    /// Rest before try number `failed` + 1, where `failed` tries have failed.
    pub fn backoff(&self, failed: u32) -> Duration {
        let n = u64::from(failed.clamp(1, 16));
        let (seconds, longest) = match self.growth {
            Growth::Doubling => (self.first.saturating_mul(1 << (n - 1)), LONGEST),
            Growth::Square => (self.first.saturating_mul(n * n), LONGEST_CROWDED),
        };
        Duration::from_secs(seconds).min(longest)
    }

    /// The provider's own load kept it from starting: no try of ours was used up.
    pub fn is_capacity(&self) -> bool {
        self.code == "E6716"
    }

    /// It says something about the provider or the model, and nothing about our input or what we called off.
    pub fn is_the_providers(&self) -> bool {
        self.retryable
            && !matches!(self.code.as_str(), "canceled" | "aborted" | "input_unreachable" | "E4875")
    }
}

/// Every code that [`classify`] knows by name, and what purchases fail of besides.
const KNOWN: [&str; 20] = [
    "E1000",
    "E1001",
    "E4875",
    "E6716",
    "E8367",
    "E8765",
    "E9243",
    "E9825",
    "E9828",
    "PA",
    "E003",
    "E004",
    "moderation",
    "unavailable",
    "input_unreachable",
    "model_error",
    "aborted",
    "canceled",
    "no_output",
    "lost",
];

/// The code as one of a closed set: what a provider may make up is `other`.
pub fn known(code: &str) -> &'static str {
    KNOWN.into_iter().find(|known| *known == code).unwrap_or("other")
}

/// The text without what must not be passed on: queries of links (they may be signed) and NUL, which no
/// database takes.
pub fn sayable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hidden = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let in_link = out
            .rsplit(|c: char| c.is_whitespace() || "(\"'<".contains(c))
            .next()
            .is_some_and(|w| w.contains("://"));
        let ends = c.is_whitespace() || ")\"'>".contains(c);
        hidden = !ends && (hidden || (c == '?' && in_link));
        if !hidden && c != '\0' {
            out.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Classifies the end of a prediction by its status (`failed`, `canceled`, `aborted`) and error text.
pub fn classify(status: &str, text: &str) -> FailureClass {
    if status == "aborted" {
        return FailureClass::new("aborted", 2, 15, Charge::None);
    }
    if status == "canceled" {
        return FailureClass::new("canceled", 1, 15, Charge::Produced);
    }
    let lower = text.to_lowercase();
    let code = code_of(text);
    match code.as_deref() {
        Some("E1000") => FailureClass::new("E1000", 2, 10, Charge::None),
        Some("E1001") => FailureClass::new("E1001", 1, 30, Charge::None),
        Some("E4875") => FailureClass::new("E4875", 1, 10, Charge::None),
        Some("E6716") => {
            FailureClass { growth: Growth::Square, ..FailureClass::new("E6716", 4, 5, Charge::None) }
        }
        Some("E8367") => FailureClass::new("E8367", 2, 30, Charge::Produced),
        Some("E8765") => FailureClass::new("E8765", 3, 30, Charge::None),
        Some("E9243") => FailureClass::new("E9243", 1, 15, Charge::None),
        Some("E9825") => FailureClass::new("E9825", 2, 15, Charge::Produced),
        Some("E9828") => FailureClass::new("E9828", 3, 20, Charge::Produced),
        Some("PA") => FailureClass::new("PA", 2, 5, Charge::None),
        Some("E003") => FailureClass::new("E003", 4, 30, Charge::None),
        Some("E004") => FailureClass::new("E004", 4, 30, Charge::None),
        _ if code.as_deref() == Some("E005") || is_moderation(&lower) => {
            FailureClass::new("moderation", 0, 0, Charge::Produced)
        }
        _ if lower.contains("high demand") || lower.contains("temporarily unavailable") => {
            FailureClass::new("unavailable", 4, 30, Charge::None)
        }
        Some(code) => FailureClass::new(code, 1, 30, Charge::Produced),
        // Our own media link did not answer: nothing ran, and it will answer again.
        None if lower.contains("downloading input") || lower.contains("http error 5") => {
            FailureClass::new("input_unreachable", 4, 10, Charge::None)
        }
        None => FailureClass::new("model_error", 0, 0, Charge::None),
    }
}

fn is_moderation(lower: &str) -> bool {
    ["flagged as sensitive", "nsfw", "violates", "content policy", "safety"]
        .iter()
        .any(|word| lower.contains(word))
}

/// `(E6716)`, `E003`, or `(code: PA)`.
fn code_of(text: &str) -> Option<String> {
    if let Some((_, tail)) = text.split_once("code: ") {
        let code: String = tail.chars().take_while(char::is_ascii_uppercase).collect();
        if code.len() == 2 {
            return Some(code);
        }
    }
    text.split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| {
        let digits = word.strip_prefix('E')?;
        let is_code = (3..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        is_code.then(|| word.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_makes_up_is_no_class_of_its_own() {
        for (text, wanted) in [
            ("oops (E8765)", "E8765"),
            ("oops (E12345)", "other"),
            ("flagged as sensitive", "moderation"),
            ("(code: ZZ)", "other"),
            ("HTTP error 503 downloading input", "input_unreachable"),
        ] {
            assert_eq!(known(&classify("failed", text).code), wanted, "{text}");
        }
    }

    #[test]
    fn texts_as_they_occur() {
        for (status, text, code, retryable, charge) in [
            ("failed", "Director: unexpected error handling prediction (E6716)", "E6716", true, Charge::None),
            ("failed", "Prediction interrupted; please retry (code: PA)", "PA", true, Charge::None),
            ("failed", "Service is temporarily unavailable. (E003)", "E003", true, Charge::None),
            (
                "failed",
                "Service is currently unavailable due to high demand",
                "unavailable",
                true,
                Charge::None,
            ),
            (
                "failed",
                "The input or output was flagged as sensitive. (E005)",
                "moderation",
                false,
                Charge::Produced,
            ),
            ("failed", "NSFW content detected", "moderation", false, Charge::Produced),
            ("failed", "failed to upload file (E9825)", "E9825", true, Charge::Produced),
            ("failed", "ValueError: width must be a multiple of 8", "model_error", false, Charge::None),
            (
                "failed",
                "Error downloading input image (https://…): HTTP Error 503 Service Unavailable",
                "input_unreachable",
                true,
                Charge::None,
            ),
            ("failed", "EXIF data broken", "model_error", false, Charge::None),
            ("aborted", "", "aborted", true, Charge::None),
            ("canceled", "", "canceled", true, Charge::Produced),
        ] {
            let class = classify(status, text);
            assert_eq!(
                (class.code.as_str(), class.retryable, class.charge),
                (code, retryable, charge),
                "{text}"
            );
        }
    }

    #[test]
    fn links_are_passed_on_without_their_signature() {
        for (text, said) in [
            (
                "Error downloading input (http://x/a.jpg?exp=1&sig=abc): HTTP Error 503",
                "Error downloading input (http://x/a.jpg): HTTP Error 503",
            ),
            ("what? no link", "what? no link"),
            ("see https://x/?a=b next \"https://y?c\" end\0", "see https://x/ next \"https://y\" end"),
        ] {
            assert_eq!(sayable(text), said);
        }
    }

    #[test]
    fn a_crowded_provider_gets_squares_up_to_the_longest() {
        let class = classify("failed", "(E6716)");
        let rests: Vec<u64> = (1..=6).map(|n| class.backoff(n).as_secs()).collect();
        assert_eq!(rests, [5, 20, 45, 80, 90, 90]);
        assert!(class.is_capacity() && class.is_the_providers());
        assert!(!classify("failed", "NSFW content detected").is_the_providers(), "that was our input");
        let class = classify("failed", "E1000");
        assert_eq!(
            [class.backoff(1).as_secs(), class.backoff(2).as_secs(), class.backoff(60).as_secs()],
            [10, 20, 120]
        );
    }
}
