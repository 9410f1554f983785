//! A line to the database that can be held, when everything comes late; stranded, when it never comes; or cut.

use std::net::SocketAddr;

use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub(crate) struct Line {
    state: watch::Sender<State>,
    address: SocketAddr,
}

#[derive(Clone, Copy, Default)]
struct State {
    held: bool,
    answers_held: bool,
    /// Connections so far.
    made: u64,
    /// Those before this one carry nothing any more, and nobody is told.
    stranded: u64,
    /// Those before this one are closed.
    cut: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

impl Line {
    pub(crate) async fn to(pool: &PgPool) -> Self {
        let options = pool.connect_options();
        let target = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, watcher) = watch::channel(State::default());
        let made = state.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let number = made.borrow().made;
                made.send_modify(|state| state.made += 1);
                let (target, watcher) = (target.clone(), watcher.clone());
                tokio::spawn(async move {
                    let far = TcpStream::connect(target).await.unwrap();
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::spawn(carry(far_in, near_out, Way::Back, number, watcher.clone()));
                    carry(near_in, far_out, Way::There, number, watcher).await;
                });
            }
        });
        Self { state, address }
    }

    pub(crate) fn pool(&self, pool: &PgPool) -> PgPool {
        let options = pool.connect_options().as_ref().clone().host("127.0.0.1").port(self.address.port());
        PgPoolOptions::new().max_connections(4).connect_lazy_with(options)
    }

    pub(crate) fn hold(&self, held: bool) {
        self.state.send_modify(|state| state.held = held);
    }

    /// What is sent arrives; what comes back does not.
    pub(crate) fn hold_answers(&self) {
        self.state.send_modify(|state| state.answers_held = true);
    }

    /// Breaks every connection there is, with what it held.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| *state = State { cut: state.made, answers_held: false, ..*state });
    }

    /// No connection that there is carries anything again, as when a firewall has forgotten it; new ones work.
    pub(crate) fn strand(&self) {
        self.state.send_modify(|state| state.stranded = state.made);
    }
}

/// Ends when either end does, or when it is cut, and closes the other.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    number: u64,
    mut state: watch::Receiver<State>,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut cut = state.clone();
    let carried = async {
        loop {
            let read = from.read(&mut buffer).await.unwrap_or(0);
            let free = state.wait_for(|state| {
                let stuck = state.held || (state.answers_held && way == Way::Back) || number < state.stranded;
                !stuck
            });
            if free.await.is_err() || read == 0 {
                return;
            }
            if to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = carried => {}
        _ = cut.wait_for(|state| number < state.cut) => {}
    }
}
