//! The `input` object of each model family. The same function makes the request (with signed URLs)
//! and the digest (with the SHA-256 of the bytes behind them), so the two cannot drift apart.

use crate::catalog::{Family, Model};
use serde_json::{Value, json};

/// Everything a clip's input depends on. `first` and `last` are URLs or digests.
#[derive(Debug, Clone, Copy)]
pub struct RenderInput<'a> {
    /// What should be seen.
    pub prompt: &'a str,
    /// First frame.
    pub first: &'a str,
    /// Last frame.
    pub last: Option<&'a str>,
    /// Produced seconds, one of the model's allowed ones.
    pub seconds: u32,
    /// Such as `1080p`.
    pub resolution: &'a str,
    /// Such as `16:9`.
    pub aspect: &'a str,
    /// Native audio, where the model has it.
    pub audio: bool,
}

/// A clip's input for `model`.
pub fn render(model: &Model, ask: RenderInput<'_>) -> Value {
    let mut input = match model.family {
        Family::Hailuo => json!({
            "prompt": ask.prompt,
            "first_frame_image": ask.first,
            "duration": ask.seconds,
            "resolution": ask.resolution,
            "prompt_optimizer": true,
        }),
        Family::Veo | Family::Musicgen => json!({
            "prompt": ask.prompt,
            "image": ask.first,
            "duration": ask.seconds,
            "resolution": ask.resolution,
            "aspect_ratio": ask.aspect,
            "generate_audio": ask.audio,
        }),
    };
    if let Some(last) = ask.last {
        let field = if model.family == Family::Hailuo { "last_frame_image" } else { "last_frame" };
        input[field] = json!(last);
    }
    input
}

/// What the soundtrack so far hands to its next stretch.
#[derive(Debug, Clone, Copy)]
pub struct Continuation<'a> {
    /// The stretch before, URL or digest.
    pub audio: &'a str,
    /// Its length in whole seconds.
    pub seconds: u32,
}

/// Seconds of the stretch before that the next one listens to.
pub const CONTINUATION_WINDOW_S: u32 = 1;

/// A stretch of music.
pub fn music(prompt: &str, seconds: u32, before: Option<Continuation<'_>>) -> Value {
    let mut input = json!({
        "prompt": prompt,
        "duration": seconds,
        "model_version": "stereo-large",
        "output_format": "mp3",
        "normalization_strategy": "loudness",
    });
    if let Some(before) = before {
        input["continuation"] = json!(true);
        input["input_audio"] = json!(before.audio);
        input["continuation_start"] = json!(before.seconds.saturating_sub(CONTINUATION_WINDOW_S));
        input["continuation_end"] = json!(before.seconds);
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use crate::prediction::Purpose;

    const ASK: RenderInput<'static> = RenderInput {
        prompt: "p",
        first: "https://a/1.jpg",
        last: Some("https://a/2.jpg"),
        seconds: 4,
        resolution: "1080p",
        aspect: "16:9",
        audio: false,
    };

    #[test]
    fn veo_is_asked_as_it_wants_to_be() {
        let veo = catalog::find("veo3", Purpose::Render).unwrap();
        assert_eq!(
            render(veo, ASK),
            json!({"prompt": "p", "image": "https://a/1.jpg", "last_frame": "https://a/2.jpg", "duration": 4,
                   "resolution": "1080p", "aspect_ratio": "16:9", "generate_audio": false})
        );
    }

    #[test]
    fn hailuo_has_other_names_and_no_aspect() {
        let hailuo = catalog::find("hailuo-02", Purpose::Render).unwrap();
        assert_eq!(
            render(hailuo, RenderInput { last: None, seconds: 6, ..ASK }),
            json!({"prompt": "p", "first_frame_image": "https://a/1.jpg", "duration": 6, "resolution": "1080p",
                   "prompt_optimizer": true})
        );
    }

    #[test]
    fn music_continues_from_the_end_of_the_stretch_before() {
        assert!(music("m", 4, None).get("continuation").is_none());
        let next = music("m", 4, Some(Continuation { audio: "u", seconds: 4 }));
        assert_eq!((&next["continuation_start"], &next["continuation_end"]), (&json!(3), &json!(4)));
    }
}
