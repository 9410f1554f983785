//! A listener whose connections a handler can cut: the only way to lose an answer as a network does, before
//! the first byte of it. And one that a handler can shut: as if nobody were at home.

use crate::error::SimulatorError;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Rest before a port is tried again that somebody else took meanwhile.
const BIND_REST: Duration = Duration::from_millis(50);

/// Cuts the connection that a request came on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cut(Arc<AtomicBool>);

impl Cut {
    /// Nothing more goes out.
    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn refused(&self) -> Option<io::Error> {
        self.0.load(Ordering::Relaxed).then(|| io::Error::from(io::ErrorKind::ConnectionReset))
    }
}

/// Until when nothing listens.
#[derive(Debug, Clone)]
pub(crate) struct Door(watch::Sender<Option<Instant>>);

impl Door {
    pub(crate) fn open() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Ends all connections, and takes new ones only after this time.
    pub(crate) fn shut(&self, length: Duration) {
        self.0.send_replace(Some(Instant::now() + length));
    }
}

/// A TCP listener.
pub(crate) struct CuttableListener {
    address: SocketAddr,
    /// None while the door is shut.
    listener: Option<TcpListener>,
    shut: watch::Receiver<Option<Instant>>,
    /// Keeps the watch alive.
    _door: Door,
    /// Ends the connections of the time before the door was shut.
    open: CancellationToken,
}

impl CuttableListener {
    /// Takes connections while the door is open.
    pub(crate) fn behind(listener: TcpListener, door: Door) -> Result<Self, SimulatorError> {
        let address = listener
            .local_addr()
            .map_err(|source| SimulatorError::Listen { address: ([0, 0, 0, 0], 0).into(), source })?;
        let shut = door.0.subscribe();
        Ok(Self { address, listener: Some(listener), shut, _door: door, open: CancellationToken::new() })
    }

    async fn wait_and_listen(&mut self) {
        self.listener = None;
        self.open.cancel();
        self.open = CancellationToken::new();
        let until = *self.shut.borrow_and_update();
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
        while self.listener.is_none() {
            match TcpListener::bind(self.address).await {
                Ok(listener) => self.listener = Some(listener),
                Err(error) => {
                    tracing::warn!(address = %self.address, %error, "the port is not free yet");
                    tokio::time::sleep(BIND_REST).await;
                }
            }
        }
    }
}

/// A connection that can be cut.
pub(crate) struct CuttableStream {
    stream: TcpStream,
    cut: Cut,
    shut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Some(listener) = &mut self.listener else {
                self.wait_and_listen().await;
                continue;
            };
            tokio::select! {
                (stream, address) = Listener::accept(listener) => {
                    stream.set_nodelay(true).ok();
                    let shut = Box::pin(self.open.clone().cancelled_owned());
                    return (CuttableStream { stream, cut: Cut::default(), shut }, address);
                }
                Ok(()) = self.shut.changed() => self.listener = None,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Cut {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().cut.clone()
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.shut.as_mut().poll(cx).is_ready() {
            self.cut.now();
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.cut.refused() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
