//! Rules across inputs that the schema cannot say. The real models find them after they have started, so
//! breaking one is a failed prediction and not a 422.

use crate::model::{Family, Model, switch, whole, words};
use serde_json::{Map, Value};

/// The model's own error text, when it would refuse this input (defaults filled in).
pub(crate) fn refusal(model: &Model, input: &Map<String, Value>) -> Option<String> {
    match model.family {
        Family::Veo => {
            if input.contains_key("last_frame") && !input.contains_key("image") {
                return Some("ValueError: last_frame requires an input image".to_owned());
            }
            let odd = whole(input, "duration") != 8 || words(input, "aspect_ratio") != "16:9";
            if input.contains_key("reference_images") && odd {
                return Some(
                    "ValueError: reference_images only work with 16:9 and 8 second videos".to_owned(),
                );
            }
            None
        }
        Family::Hailuo => {
            let ten = whole(input, "duration") == 10;
            if ten && words(input, "resolution") == "1080p" {
                return Some("ValueError: 10 second videos are not available at 1080p resolution".to_owned());
            }
            None
        }
        Family::Musicgen => {
            if switch(input, "continuation") && !input.contains_key("input_audio") {
                return Some("ValueError: Must provide `input_audio` if continuation is `True`.".to_owned());
            }
            let start = whole(input, "continuation_start");
            if input.contains_key("continuation_end") && whole(input, "continuation_end") <= start {
                return Some(
                    "ValueError: `continuation_end` must be greater than `continuation_start`.".to_owned(),
                );
            }
            None
        }
        Family::Flux | Family::Speech => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Models;
    use serde_json::json;

    #[test]
    fn rules_across_inputs() {
        let models = Models::load().unwrap();
        let refused = |slug: &str, input: Value| {
            let model = models.by_slug(slug).unwrap();
            refusal(model, &model.with_defaults(input.as_object().unwrap())).is_some()
        };
        assert!(refused("minimax/hailuo-02", json!({"prompt": "p", "duration": 10})));
        assert!(!refused("minimax/hailuo-02", json!({"prompt": "p", "duration": 10, "resolution": "768p"})));
        assert!(refused("google/veo-3.1-fast", json!({"prompt": "p", "last_frame": "https://a/b"})));
        let refs = json!({"prompt": "p", "reference_images": ["https://a/b"], "duration": 4});
        assert!(refused("google/veo-3.1", refs));
        assert!(!refused("google/veo-3.1", json!({"prompt": "p", "reference_images": ["https://a/b"]})));
        assert!(refused("meta/musicgen", json!({"continuation": true})));
        assert!(!refused("meta/musicgen", json!({"continuation": false})));
    }
}
