//! Webhooks as the service sends them: signed (Standard Webhooks), the terminal one tried again for about a
//! minute with the same id and a fresh timestamp, the others once. Written apart from the client's verifier.

use crate::clock::machine_time;
use crate::error::SimulatorError;
use crate::fault::{Fault, Route, Stage};
use crate::faults::Call;
use crate::id;
use crate::record::{Detail, Record};
use crate::sim::Sim;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use serde_json::Value;
use sha2::Sha256;
use spool_provider::wire::{
    Prediction, PredictionStatus, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, WebhookEvent,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Real seconds between tries of a terminal webhook; the last try is about a minute after the end.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 28];
/// A receiver must answer within this time.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One try to deliver.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Try {
    pub(crate) webhook_id: String,
    pub(crate) prediction_id: String,
    pub(crate) event: WebhookEvent,
    pub(crate) url: String,
    /// Counted from 1.
    pub(crate) attempt: usize,
    /// HTTP status, when there was an answer.
    pub(crate) status: Option<u16>,
    /// Why there was none: `lost` when a fault ate it.
    pub(crate) error: Option<String>,
    pub(crate) at: DateTime<Utc>,
}

struct Message {
    id: String,
    prediction_id: String,
    event: WebhookEvent,
    url: String,
    body: Vec<u8>,
    faults: Vec<Fault>,
}

/// The webhook key, what was sent, and what waits.
pub(crate) struct Hooks {
    key: Vec<u8>,
    pub(crate) secret: String,
    log: Mutex<Vec<Try>>,
    /// Told when the message before has been tried once: without faults, messages keep their order.
    before: Mutex<HashMap<String, watch::Receiver<bool>>>,
    held: Mutex<HashMap<String, Vec<Message>>>,
}

impl Hooks {
    /// Reads the account's secret, or makes one.
    pub(crate) fn open(path: &Path) -> Result<Self, SimulatorError> {
        let failed = |source| SimulatorError::Data { path: path.to_path_buf(), source };
        let secret = match std::fs::read_to_string(path) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let secret = format!("whsec_{}", STANDARD.encode(rand::random::<[u8; 24]>()));
                std::fs::write(path, &secret).map_err(failed)?;
                secret
            }
            Err(error) => return Err(failed(error)),
        };
        let key = STANDARD
            .decode(secret.trim_start_matches("whsec_"))
            .map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
        Ok(Self { key, secret, log: Mutex::default(), before: Mutex::default(), held: Mutex::default() })
    }

    pub(crate) fn log(&self) -> Vec<Try> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clear_log(&self) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn note(&self, message: &Message, attempt: usize, outcome: Result<u16, String>) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(Try {
            webhook_id: message.id.clone(),
            prediction_id: message.prediction_id.clone(),
            event: message.event,
            url: message.url.clone(),
            attempt,
            status: outcome.as_ref().ok().copied(),
            error: outcome.err(),
            at: machine_time(),
        });
    }
}

/// `v1,<base64>` for a message.
pub(crate) fn signature(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    // HMAC takes keys of any length; an empty tag would be refused by every receiver.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Reports an event, if the prediction asked for it.
pub(crate) fn report(sim: &Arc<Sim>, record: &Record, event: WebhookEvent) {
    let Some(url) = record.webhook.clone().filter(|_| record.events.contains(&event)) else {
        if event == WebhookEvent::Completed {
            settle(sim, &record.id);
        }
        return;
    };
    let mut shown = sim.show(record, Detail::Full);
    if event == WebhookEvent::Output {
        before_the_end(&mut shown);
    }
    let name = match event {
        WebhookEvent::Start => "start",
        WebhookEvent::Output => "output",
        WebhookEvent::Logs => "logs",
        WebhookEvent::Completed => "completed",
    };
    let input = Value::Object(record.input.clone()).to_string();
    let call = Call {
        route: Some(Route::Webhook),
        model: Some(&record.model),
        input: Some(&input),
        event: Some(name),
    };
    let message = Message {
        id: id::with_prefix("msg_"),
        prediction_id: record.id.clone(),
        event,
        url,
        body: serde_json::to_vec(&shown).unwrap_or_default(),
        faults: sim.strike(Stage::Webhook, call),
    };
    if message.faults.contains(&Fault::WebhookReorder) && event != WebhookEvent::Completed {
        let mut held = sim.hooks.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.entry(record.id.clone()).or_default().push(message);
        return;
    }
    spawn(sim, message);
}

/// An `output` event shows the output while the run is not yet closed.
fn before_the_end(shown: &mut Prediction) {
    shown.status = PredictionStatus::Processing;
    shown.completed_at = None;
    shown.metrics = None;
}

fn spawn(sim: &Arc<Sim>, message: Message) {
    let (done, tried) = watch::channel(false);
    let before = sim
        .hooks
        .before
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(message.prediction_id.clone(), tried);
    let sim = Arc::clone(sim);
    sim.tasks.clone().spawn(async move {
        tokio::select! {
            () = sim.shutdown.cancelled() => {}
            () = deliver(&sim, message, before, &done) => {}
        }
    });
}

async fn deliver(
    sim: &Arc<Sim>,
    message: Message,
    before: Option<watch::Receiver<bool>>,
    done: &watch::Sender<bool>,
) {
    let late = message.faults.iter().find_map(|fault| match fault {
        Fault::WebhookLate { ms } => Some(Duration::from_millis(*ms)),
        _ => None,
    });
    if let Some(late) = late {
        // Those after it need not wait for a straggler.
        done.send_replace(true);
        tokio::time::sleep(late).await;
    } else if let Some(mut before) = before {
        // An error means that the sender is gone: nothing to wait for.
        before.wait_for(|tried| *tried).await.ok();
    }
    let copies = message.faults.iter().find_map(|fault| match fault {
        Fault::WebhookDouble { copies } => Some(*copies),
        _ => None,
    });
    if message.faults.contains(&Fault::WebhookLost) {
        sim.hooks.note(&message, 1, Err("lost".to_owned()));
    } else {
        for _ in 0..copies.unwrap_or(1) {
            try_until_taken(sim, &message, done).await;
        }
    }
    done.send_replace(true);
    if message.event == WebhookEvent::Completed {
        finish(sim, &message.prediction_id);
    }
}

async fn try_until_taken(sim: &Sim, message: &Message, done: &watch::Sender<bool>) {
    let pauses: &[u64] = if message.event == WebhookEvent::Completed { &PAUSES } else { &[] };
    for attempt in 1..=pauses.len() + 1 {
        let outcome = post(sim, message).await;
        let taken = matches!(outcome, Ok(status) if (200..300).contains(&status));
        sim.hooks.note(message, attempt, outcome);
        done.send_replace(true);
        if taken || attempt > pauses.len() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(pauses[attempt - 1])).await;
    }
}

async fn post(sim: &Sim, message: &Message) -> Result<u16, String> {
    let url = sim.outbound.check(&message.url).map_err(|error| error.to_string())?;
    let stale = message.faults.contains(&Fault::WebhookStale);
    let timestamp = machine_time().timestamp() - if stale { 600 } else { 0 };
    let forged = message.faults.contains(&Fault::WebhookBadSignature);
    let key: &[u8] = if forged { b"not the account's key" } else { &sim.hooks.key };
    let request = sim
        .outbound
        .client()
        .post(url)
        .timeout(TIMEOUT)
        .header("content-type", "application/json")
        .header(WEBHOOK_ID, &message.id)
        .header(WEBHOOK_TIMESTAMP, timestamp.to_string())
        .header(WEBHOOK_SIGNATURE, signature(key, &message.id, timestamp, &message.body))
        .body(message.body.clone());
    let response = request.send().await.map_err(|error| error.without_url().to_string())?;
    Ok(response.status().as_u16())
}

/// The terminal message has been dealt with: what was held back goes out now.
fn finish(sim: &Arc<Sim>, prediction: &str) {
    settle(sim, prediction);
    let held = sim.hooks.held.lock().unwrap_or_else(PoisonError::into_inner).remove(prediction);
    sim.hooks.before.lock().unwrap_or_else(PoisonError::into_inner).remove(prediction);
    for message in held.unwrap_or_default() {
        spawn(sim, message);
    }
}

fn settle(sim: &Sim, prediction: &str) {
    sim.book.edit(prediction, |record| std::mem::take(&mut record.webhook_due));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_like_the_published_vector() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed =
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn the_secret_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let first = Hooks::open(&path).unwrap();
        assert_eq!(Hooks::open(&path).unwrap().secret, first.secret);
        assert_eq!(first.key.len(), 24);
    }
}
