//! What travels to and from xAI's chat completions: the part that a planner asks and the simulator answers.
//! Errors are not shaped like OpenAI's, and a 200 may carry one: see [`Reply`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Body of `POST /chat/completions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// Model id.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Form of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// Most tokens of the answer.
    #[serde(default, alias = "max_tokens", skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Best-effort repeatability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// `none`, `low`, `medium`, `high`; not every model takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Text, or parts.
    pub content: Content,
}

/// Content of a message: plain text or a list of parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Text and images in any order.
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// A picture, jpg or png.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
}

/// Where a picture is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUrl {
    /// `https:` (fetched by the provider) or `data:`.
    pub url: String,
    /// `auto`, `low` or `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The asked form of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Anything.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// The schema and its name.
        json_schema: JsonSchema,
    },
}

/// A named schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JsonSchema {
    /// Name of the answer.
    pub name: String,
    /// Whether the answer must fit.
    #[serde(default)]
    pub strict: bool,
    /// JSON Schema; the root should be an object.
    pub schema: Value,
}

/// Any 2xx body: an answer, or an error in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// An answer.
    Answer(ChatResponse),
    /// An error with status 200; worth another try.
    Error(ErrorBody),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatResponse {
    /// Its id.
    pub id: String,
    /// Always `chat.completion`.
    #[serde(default)]
    pub object: String,
    /// Unix second.
    #[serde(default)]
    pub created: i64,
    /// The model that answered.
    #[serde(default)]
    pub model: String,
    /// Usually one.
    pub choices: Vec<Choice>,
    /// What will be billed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Position.
    #[serde(default)]
    pub index: u32,
    /// The words.
    pub message: AnswerMessage,
    /// `stop`, or `length` when it was cut.
    #[serde(default)]
    pub finish_reason: Option<String>,
}

/// The words of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerMessage {
    /// `assistant`.
    #[serde(default)]
    pub role: String,
    /// With a schema: JSON as text. Still to be checked.
    #[serde(default)]
    pub content: Option<String>,
    /// Why it would not answer.
    #[serde(default)]
    pub refusal: Option<String>,
}

/// Tokens used. `completion_tokens` leaves the reasoning out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens written, reasoning excluded.
    #[serde(default)]
    pub completion_tokens: u64,
    /// All of them.
    #[serde(default)]
    pub total_tokens: u64,
    /// What was read.
    #[serde(default)]
    pub prompt_tokens_details: PromptTokens,
    /// What was thought.
    #[serde(default)]
    pub completion_tokens_details: CompletionTokens,
}

/// Tokens read, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTokens {
    /// Words.
    #[serde(default)]
    pub text_tokens: u64,
    /// Pictures.
    #[serde(default)]
    pub image_tokens: u64,
    /// Of these, read from a cache at a lower price.
    #[serde(default)]
    pub cached_tokens: u64,
}

/// Tokens written, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionTokens {
    /// Thinking.
    #[serde(default)]
    pub reasoning_tokens: u64,
}

/// An error: a phrase for the class and a sentence. The meaning is in the sentence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A phrase such as `Some resource has been exhausted`.
    pub code: String,
    /// A sentence.
    pub error: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_with_schema_and_picture_goes_both_ways() {
        let body = json!({
            "model": "grok-4.3",
            "messages": [
                {"role": "system", "content": "You plan videos."},
                {"role": "user", "content": [
                    {"type": "text", "text": "Plan."},
                    {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AA", "detail": "low"}}
                ]}
            ],
            "response_format": {"type": "json_schema",
                "json_schema": {"name": "scenes", "strict": true, "schema": {"type": "object"}}},
            "max_completion_tokens": 100
        });
        let request: ChatRequest = serde_json::from_value(body.clone()).unwrap();
        assert!(matches!(&request.messages[1].content, Content::Parts(parts) if parts.len() == 2));
        assert_eq!(serde_json::to_value(&request).unwrap(), body);
    }

    #[test]
    fn a_200_may_carry_an_error() {
        let reply: Reply = serde_json::from_value(json!({
            "code": "The service is currently unavailable", "error": "try later"
        }))
        .unwrap();
        assert!(matches!(reply, Reply::Error(_)));
        let reply: Reply = serde_json::from_value(json!({
            "id": "x", "choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}
        }))
        .unwrap();
        assert!(matches!(reply, Reply::Answer(answer) if answer.usage.as_ref().unwrap().prompt_tokens == 3));
    }
}
