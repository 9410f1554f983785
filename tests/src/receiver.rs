//! Somebody who receives webhooks: keeps every message as it came, checks its signature, and answers as it is told to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// The path that it was sent to.
    pub path: String,
    /// Headers, by their names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: String,
}

impl Received {
    /// The same in every try.
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The kind of event.
    pub fn kind(&self) -> String {
        self.json()["type"].as_str().expect("a type").to_owned()
    }

    /// Whether one of its signatures was made with this secret, as Standard Webhooks says.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = secret.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok()).expect("a secret");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any key will do");
        mac.update(format!("{}.{}.{}", self.id(), self.headers["webhook-timestamp"], self.body).as_bytes());
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.headers["webhook-signature"].split(' ').any(|signature| signature == wanted)
    }
}

#[derive(Default)]
struct Inner {
    received: Vec<Received>,
    /// Path -> status; 0 is silence.
    answers: HashMap<String, u16>,
}

/// A server on a port of its own.
#[derive(Clone)]
pub struct Receiver {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

impl Receiver {
    /// Listens. What nothing is said of is answered with 204.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let receiver = Self { address, inner: Arc::default() };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        receiver
    }

    /// What all programs must be started with, so that they may send to it.
    pub fn env(&self) -> (&'static str, String) {
        ("SPOOL_FETCH_ALLOW", format!("127.0.0.1/32:{}", self.address.port()))
    }

    /// An address of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on it answers this on a path; 0: it takes the message and says nothing.
    pub fn answer(&self, path: &str, status: u16) {
        self.lock().answers.insert(path.to_owned(), status);
    }

    /// What came to a path, in the order in which it came.
    pub fn received(&self, path: &str) -> Vec<Received> {
        self.lock().received.iter().filter(|one| one.path == path).cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self, mut stream: TcpStream) {
        let Some(received) = read(&mut stream).await else { return };
        let status = {
            let mut inner = self.lock();
            let status = inner.answers.get(&received.path).copied().unwrap_or(204);
            inner.received.push(received);
            status
        };
        if status == 0 {
            // Until the other side gives up.
            stream.read_u8().await.ok();
            return;
        }
        let text = if status == 204 { "" } else { "a word from the receiver" };
        let length = text.len();
        let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all((head + text).as_bytes()).await.ok();
        stream.shutdown().await.ok();
    }
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let path = lines.next()?.split(' ').nth(1)?.to_owned();
            let headers: HashMap<String, String> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length: usize = headers.get("content-length").and_then(|text| text.parse().ok())?;
            if body.len() >= length {
                return Some(Received { path, headers, body: body.to_owned() });
            }
        }
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    }
}
