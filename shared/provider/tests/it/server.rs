//! A server that plays a script: one reply per connection, every request kept as it came.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens on one connection after its request has been read.
pub(crate) enum Reply {
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// The end, without a word.
    Close,
    /// Nothing, for ever.
    Silence,
    /// These bytes, then nothing.
    Hang(Vec<u8>),
    /// These bytes, then one more every so often.
    Drip(Vec<u8>),
}

/// A whole answer.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(
        format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
        )
        .into_bytes(),
    )
}

/// Bytes as they are to be sent.
pub(crate) fn raw(bytes: &str) -> Reply {
    Reply::Bytes(bytes.as_bytes().to_vec())
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn playing(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut script: Vec<Reply> = script.into_iter().collect();
        script.reverse();
        let kept = requests.clone();
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                kept.lock().expect("no panic").push(request);
                match script.pop() {
                    Some(Reply::Bytes(bytes)) => {
                        stream.write_all(&bytes).await.ok();
                        stream.shutdown().await.ok();
                    }
                    Some(Reply::Silence) => silent.push(stream),
                    Some(Reply::Hang(bytes)) => {
                        stream.write_all(&bytes).await.ok();
                        silent.push(stream);
                    }
                    Some(Reply::Drip(bytes)) => {
                        stream.write_all(&bytes).await.ok();
                        tokio::spawn(async move {
                            let mut every = tokio::time::interval(std::time::Duration::from_millis(50));
                            while stream.write_all(b"x").await.is_ok() {
                                every.tick().await;
                            }
                        });
                    }
                    Some(Reply::Close) | None => {}
                }
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                })
                .unwrap_or(0);
            if body.len() >= length {
                return text.into_owned();
            }
        } else if bytes.first() == Some(&0x16) {
            return "a TLS greeting".to_owned();
        }
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return text.into_owned(),
        }
    }
}
