//! A line to the database that can be held: nothing is lost on it, everything comes late.

use std::net::SocketAddr;

use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub(crate) struct Line {
    held: watch::Sender<bool>,
    address: SocketAddr,
}

impl Line {
    pub(crate) async fn to(pool: &PgPool) -> Self {
        let options = pool.connect_options();
        let target = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (held, watcher) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (target, watcher) = (target.clone(), watcher.clone());
                tokio::spawn(async move {
                    let far = TcpStream::connect(target).await.unwrap();
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::spawn(carry(far_in, near_out, watcher.clone()));
                    carry(near_in, far_out, watcher).await;
                });
            }
        });
        Self { held, address }
    }

    pub(crate) fn pool(&self, pool: &PgPool) -> PgPool {
        let options = pool.connect_options().as_ref().clone().host("127.0.0.1").port(self.address.port());
        PgPoolOptions::new().max_connections(4).connect_lazy_with(options)
    }

    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }
}

/// Ends when either end does, and closes the other.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut held: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if held.wait_for(|held| !held).await.is_err() || read == 0 {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
