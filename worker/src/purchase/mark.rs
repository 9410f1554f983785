//! The marks by which a prediction at the provider is known to be ours: our id in a signed media link or in the webhook's address,
//! or, in an input without media, the seed that we made from our id.

use super::order::seed_of;
use crate::context::Context;
use serde_json::Value;
use spool_media::link::LinkError;
use spool_provider::wire::Prediction;
use uuid::Uuid;

/// Whether `found` is what was sent for the row `id` with `input`.
pub(super) fn bears_our_mark(found: &Prediction, without_media: bool, id: Uuid, input: &Value) -> bool {
    let text = id.to_string();
    let in_links = found.input.values().any(|value| texts(value).iter().any(|link| link.contains(&text)));
    let in_webhook = found.webhook.as_deref().is_some_and(|url| url.contains(&text));
    in_links || in_webhook || (without_media && bears_our_seed(found, id, input))
}

/// The seed that we made from `id`, beside the same words.
pub(super) fn bears_our_seed(found: &Prediction, id: Uuid, input: &Value) -> bool {
    found.input.get("seed").and_then(Value::as_u64) == Some(seed_of(id).into())
        && found.input.get("prompt") == input.get("prompt")
}

/// The prediction of this installation that `found` was sent for: it names our address, and its media link our signature. Somebody
/// else's prediction in the same account has none of both.
pub(super) fn of_ours(ctx: &Context, found: &Prediction) -> Option<Uuid> {
    let by_webhook = found.webhook.as_deref().and_then(|url| {
        let rest = url.strip_prefix(&ctx.webhook_base())?;
        rest.split('&').next()?.parse().ok()
    });
    let by_link = || found.input.values().flat_map(texts).find_map(|link| signed_by_us(ctx, link));
    by_webhook.or_else(by_link)
}

fn signed_by_us(ctx: &Context, link: &str) -> Option<Uuid> {
    let (path, query) = link.strip_prefix(&ctx.public_base_url)?.split_once('?')?;
    let id = path.strip_prefix("/api/v3/media/")?.split('/').next()?.parse().ok()?;
    let mut parts = query.split('&');
    let expires = parts.next()?.strip_prefix("exp=")?.parse().ok()?;
    let signature = parts.next()?.strip_prefix("sig=")?;
    match ctx.signer.verify(path, expires, signature, ctx.clock.now()) {
        Ok(()) | Err(LinkError::Expired) => Some(id),
        Err(_) => None,
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}
