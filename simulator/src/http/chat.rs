//! xAI's chat completions: an answer that fits the asked schema, drawn from the prompt, and errors in xAI's own
//! shape (which is not OpenAI's).

use crate::canonical;
use crate::fault::{Fault, Route, Stage};
use crate::faults::Call;
use crate::http::gate;
use crate::id;
use crate::ledger::Charge;
use crate::net::Cut;
use crate::price;
use crate::sim::Sim;
use crate::xai;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Number, Value, json};
use spool_provider::xai::{
    AnswerMessage, ChatRequest, ChatResponse, Choice, CompletionTokens, ErrorBody, PromptTokens,
    ResponseFormat, Usage,
};
use std::sync::Arc;

const EXHAUSTED: &str = "Some resource has been exhausted";

fn error(status: StatusCode, code: &str, text: &str) -> Response {
    (status, Json(ErrorBody { code: code.to_owned(), error: text.to_owned() })).into_response()
}

/// `GET /xai/v1/models`
pub(crate) async fn models() -> Json<Value> {
    let ids = ["grok-4.3", "grok-4.20-non-reasoning", "grok-4.5"];
    let rows: Vec<Value> =
        ids.iter().map(|id| json!({"id": id, "object": "model", "owned_by": "xai"})).collect();
    Json(json!({"object": "list", "data": rows}))
}

/// `POST /xai/v1/chat/completions`
pub(crate) async fn completions(
    State(sim): State<Arc<Sim>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !gate::has_token(&headers) {
        // A missing or wrong key is a 400 here.
        let text = "Incorrect API key provided. You can obtain an API key from https://console.x.ai.";
        return error(StatusCode::BAD_REQUEST, "Client specified an invalid argument", text);
    }
    let request: ChatRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(wrong) => {
            let text = format!("Failed to deserialize the JSON body into the target type: {wrong}");
            return error(StatusCode::UNPROCESSABLE_ENTITY, "Failed to deserialize the JSON body", &text);
        }
    };
    let input = String::from_utf8_lossy(&body);
    let call =
        Call { route: Some(Route::Xai), model: Some(&request.model), input: Some(&input), event: None };
    let http = sim.strike(Stage::Http, call);
    if let Some(response) = gate::before(&http, &cut).await {
        return response;
    }
    let faults = sim.strike(Stage::Xai, call);
    if let Some(response) = refused(&faults, &request.model) {
        return response;
    }
    let seed = xai::Seed::new(sim.config.seed, &serde_json::to_string(&request.messages).unwrap_or_default());
    let content = match &request.response_format {
        Some(ResponseFormat::JsonSchema { json_schema }) => {
            xai::generate(&json_schema.schema, seed).to_string()
        }
        Some(ResponseFormat::JsonObject) => json!({"answer": xai::sentence(seed)}).to_string(),
        Some(ResponseFormat::Text) | None => xai::sentence(seed),
    };
    let response = answer(&request, content, &faults);
    bill(&sim, &request, &response).await;
    gate::after(&http, &cut, Json(response).into_response()).await
}

fn refused(faults: &[Fault], model: &str) -> Option<Response> {
    faults.iter().find_map(|fault| match fault {
        Fault::XaiRateLimit => {
            let text = format!(
                "Too many tokens for team 0000 and model {model}. Your team's rate limit is — Tokens per Minute \
                 (actual/limit): 65605/16000"
            );
            Some(error(StatusCode::TOO_MANY_REQUESTS, EXHAUSTED, &text))
        }
        Fault::XaiBilling => {
            let text = "Your team 0000 has either used all available credits or reached its monthly spending limit.";
            Some(error(StatusCode::TOO_MANY_REQUESTS, EXHAUSTED, text))
        }
        Fault::XaiCapacity => {
            let text = "The service is temporarily at capacity. Please retry your request shortly.";
            Some(error(StatusCode::TOO_MANY_REQUESTS, EXHAUSTED, text))
        }
        Fault::XaiOkError => {
            let text = "Service temporarily unavailable.";
            Some(error(StatusCode::OK, "The service is currently unavailable", text))
        }
        _ => None,
    })
}

fn answer(request: &ChatRequest, mut content: String, faults: &[Fault]) -> ChatResponse {
    let mut finish = "stop";
    let mut refusal = None;
    for fault in faults {
        match fault {
            Fault::XaiInvalidJson => content = format!("Sure! Here it is: {content}"),
            Fault::XaiWrongShape => content = json!({"unexpected": true}).to_string(),
            Fault::XaiTruncated => {
                content = content.chars().take(content.chars().count() / 2).collect();
                finish = "length";
            }
            Fault::XaiRefusal => {
                content.clear();
                refusal = Some("I can't help with that.".to_owned());
            }
            _ => {}
        }
    }
    let (text_tokens, image_tokens) = xai::tokens(&request.messages);
    let written = xai::count(&content);
    let usage = Usage {
        prompt_tokens: text_tokens + image_tokens,
        completion_tokens: written,
        total_tokens: text_tokens + image_tokens + written,
        prompt_tokens_details: PromptTokens { text_tokens, image_tokens, cached_tokens: 0 },
        completion_tokens_details: CompletionTokens::default(),
    };
    let message = AnswerMessage { role: "assistant".to_owned(), content: Some(content), refusal };
    ChatResponse {
        id: id::with_prefix("chat-"),
        object: "chat.completion".to_owned(),
        created: crate::clock::machine_time().timestamp(),
        model: request.model.clone(),
        choices: vec![Choice { index: 0, message, finish_reason: Some(finish.to_owned()) }],
        usage: Some(usage),
    }
}

async fn bill(sim: &Sim, request: &ChatRequest, response: &ChatResponse) {
    let usage = response.usage.as_ref();
    let (read, written) = usage.map_or((0, 0), |usage| (usage.prompt_tokens, usage.completion_tokens));
    let digest = serde_json::to_value(request).ok().map(|value| canonical::digest(&value));
    sim.ledger
        .write(Charge {
            prediction_id: response.id.clone(),
            model: request.model.clone(),
            input_digest: digest,
            units: Number::from(read + written),
            unit: "token".to_owned(),
            cost_micros: price::tokens(read, written),
            status: "succeeded".to_owned(),
            created_at: sim.clock.now(),
        })
        .await;
}
