//! A TCP stream that notices silence and can be cut from outside.
//!
//! HTTP/2 keepalive alone leaves links dead for good after some partitions, and a peer that never speaks would hold
//! its connection for ever. Bytes are the one sign of life that no state of the protocol can fake.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};
use tonic::transport::server::Connected;

/// Dropping it ends the connection.
pub(crate) type Cut = oneshot::Sender<()>;

/// A stream that fails when no byte arrives for a while or when its [`Cut`] is dropped. It holds on to `H` for as
/// long as the connection lives: a permit, or a sender whose end tells others.
pub(crate) struct Watched<S, H> {
    stream: S,
    silence: Duration,
    alarm: Pin<Box<Sleep>>,
    cut: Option<oneshot::Receiver<()>>,
    _held: H,
}

impl<S, H> Watched<S, H> {
    pub(crate) fn new(stream: S, silence: Duration, held: H) -> (Self, Cut) {
        let (sender, cut) = oneshot::channel();
        (Self { cut: Some(cut), ..Self::uncut(stream, silence, held) }, sender)
    }

    /// One that only silence ends.
    pub(crate) fn uncut(stream: S, silence: Duration, held: H) -> Self {
        Self { stream, silence, alarm: Box::pin(tokio::time::sleep(silence)), cut: None, _held: held }
    }

    /// Lets a stream that has shown itself alive be silent for longer.
    fn heard(&mut self) {
        self.alarm.as_mut().reset(Instant::now() + self.silence);
    }
}

impl<S: AsyncRead + Unpin, H: Unpin> AsyncRead for Watched<S, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().is_some_and(|cut| cut.poll_unpin(cx).is_ready()) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the connection was cut",
            )));
        }
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            if buffer.filled().len() > before {
                self.heard();
            }
            return Poll::Ready(read);
        }
        ready!(self.alarm.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "nothing came from the other end for too long",
        )))
    }
}

impl<S: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Watched<S, H> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl<S, H> Connected for Watched<S, H> {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::sync::oneshot;

    use super::Watched;

    #[tokio::test]
    async fn a_silent_peer_is_given_up() {
        let (here, _there) = duplex(16);
        let (mut watched, _cut) = Watched::new(here, Duration::from_millis(5), ());
        let error = watched.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn bytes_pass_and_the_end_is_an_end() {
        let (here, mut there) = duplex(16);
        let (mut watched, _cut) = Watched::new(here, Duration::from_secs(60), ());
        there.write_all(b"caim").await.unwrap();
        drop(there);
        let mut read = Vec::new();
        watched.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"caim");
    }

    #[tokio::test]
    async fn a_cut_ends_a_waiting_read_and_frees_what_was_held() {
        let (here, _there) = duplex(16);
        let (held, freed) = oneshot::channel::<()>();
        let (mut watched, cut) = Watched::new(here, Duration::from_secs(60), held);
        let reader = tokio::spawn(async move { watched.read_u8().await.unwrap_err().kind() });
        drop(cut);
        assert_eq!(reader.await.unwrap(), ErrorKind::ConnectionAborted);
        assert!(freed.await.is_err());
    }
}
