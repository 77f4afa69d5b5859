//! Protocol data units (PS3.8 section 9.3) over a socket: of bounded length, and whole within a bounded time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use dicom_ul::pdu::{Pdu, read_pdu, write_pdu};

use super::association::End;

/// The longest unit that a peer is told to send, without its head.
pub(super) const PDU_BYTES: u32 = 256 << 10;
/// Bytes of type and length.
const HEAD_BYTES: usize = 6;
/// How long a peer may take to send one unit, or to receive one.
const UNIT: Duration = Duration::from_secs(60);
/// So often who waits for a unit is asked whether to go on.
const TICK: Duration = Duration::from_millis(100);
const CHUNK_BYTES: usize = 64 << 10;

/// A connection to a peer.
pub(super) struct Wire {
    socket: TcpStream,
    buffer: BytesMut,
    chunk: Vec<u8>,
    /// When the first byte of a unit came that is not whole yet.
    began: Option<Instant>,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> std::io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TICK))?;
        socket.set_write_timeout(Some(UNIT))?;
        Ok(Self { socket, buffer: BytesMut::new(), chunk: vec![0; CHUNK_BYTES], began: None })
    }

    /// The next unit; `None` when a tick has passed without one.
    pub(super) fn poll(&mut self) -> Result<Option<Pdu>, End> {
        loop {
            if let Some(pdu) = self.buffered()? {
                self.began = None;
                return Ok(Some(pdu));
            }
            if self.began.is_some_and(|began| began.elapsed() > UNIT) {
                return Err(End::TooSlow);
            }
            self.confirm();
            match self.socket.read(&mut self.chunk) {
                Ok(0) => return Err(End::HungUp),
                Ok(read) => {
                    self.buffer.extend_from_slice(self.chunk.get(..read).unwrap_or_default());
                    self.began.get_or_insert_with(Instant::now);
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(End::HungUp),
            }
        }
    }

    /// Has packets confirmed at once. Many senders wait for that before they send the next one, and the system takes its time.
    fn confirm(&self) {
        // It is a matter of speed alone.
        #[cfg(target_os = "linux")]
        drop(socket2::SockRef::from(&self.socket).set_tcp_quickack(true));
    }

    /// The first unit of the buffer, if it is whole.
    fn buffered(&mut self) -> Result<Option<Pdu>, End> {
        let Some(&[kind, _, a, b, c, d]) = self.buffer.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]);
        // What has another type, as the first bytes of TLS or HTTP have, is not waited for.
        if !(1..=7).contains(&kind) || length > PDU_BYTES {
            return Err(End::Malformed);
        }
        let whole = HEAD_BYTES + length as usize;
        let Some(mut bytes) = self.buffer.get(..whole) else { return Ok(None) };
        let pdu = read_pdu(&mut bytes, PDU_BYTES, true).ok().flatten().ok_or(End::Malformed)?;
        self.buffer.advance(whole);
        Ok(Some(pdu))
    }

    pub(super) fn send(&mut self, pdu: &Pdu) -> Result<(), End> {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).map_err(|_| End::Failed)?;
        self.socket.write_all(&bytes).map_err(|_| End::HungUp)
    }

    /// Waits a moment for the peer to close, so that it reads the last unit before the connection is gone.
    pub(super) fn close(&mut self) {
        let last = Instant::now() + Duration::from_secs(1);
        drop(self.socket.shutdown(std::net::Shutdown::Write));
        while Instant::now() < last {
            match self.socket.read(&mut self.chunk) {
                Ok(1..) => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}
