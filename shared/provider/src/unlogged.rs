//! What holds prompts and signed links shows neither when it is printed for debugging: a log line of it tells ids.

use crate::client::Create;
use crate::wire::{CreatePrediction, Prediction};
use std::fmt;

impl fmt::Debug for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prediction")
            .field("id", &self.id)
            .field("model", &self.model)
            .field("status", &self.status)
            .field("created_at", &self.created_at)
            .field("completed_at", &self.completed_at)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CreatePrediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatePrediction").field("version", &self.version).finish_non_exhaustive()
    }
}

impl fmt::Debug for Create {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Create")
            .field("model", &self.model)
            .field("version", &self.version)
            .field("cancel_after", &self.cancel_after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn neither_words_nor_links_are_printed() {
        let (words, link) = ("a lighthouse", "https://a.example/x?sig=1");
        let prediction: Prediction = serde_json::from_value(json!({
            "id": "p1", "model": "a/b", "status": "failed", "created_at": "2026-01-01T00:00:00Z", "error": words,
            "input": {"prompt": words, "image": link}, "webhook": link, "output": [link], "logs": words, "more": words,
        }))
        .unwrap();
        let create = Create {
            model: "a/b".to_owned(),
            version: None,
            input: json!({"prompt": words}),
            webhook: Some(link.to_owned()),
            cancel_after: None,
        };
        let body = CreatePrediction {
            input: prediction.input.clone(),
            webhook: Some(link.to_owned()),
            ..CreatePrediction::default()
        };
        for printed in [format!("{prediction:?}"), format!("{create:?}"), format!("{body:?}")] {
            assert!(!printed.contains(words) && !printed.contains("a.example"), "{printed}");
        }
        assert!(format!("{prediction:?}").contains("p1"));
    }
}
