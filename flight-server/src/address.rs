//! Where plain TCP may go: over loopback and nowhere else, because it neither hides nor proves anything.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::Error;

/// Where a node finds its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubAddress(SocketAddr);

impl HubAddress {
    /// Reads `HOST:PORT`, with or without `grpc://` before it. Names other than `localhost` are not looked up.
    ///
    /// # Errors
    /// When it is no address, or one beyond this machine.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bare = without_scheme(text);
        let address = match bare.rsplit_once(':') {
            Some(("localhost", port)) => {
                port.parse().map(|port| (IpAddr::V4(Ipv4Addr::LOCALHOST), port).into()).ok()
            }
            Some(_) => bare.parse().ok(),
            None => None,
        };
        match address {
            Some(address) => on_loopback(address).map(Self),
            None if names_a_host(bare) => Err(Error::NotLoopback { address: text.to_owned() }),
            None => Err(Error::Address { address: text.to_owned() }),
        }
    }

    /// The socket address.
    #[must_use]
    pub fn socket(self) -> SocketAddr {
        self.0
    }
}

impl fmt::Display for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The address, if it is on this machine.
pub(crate) fn on_loopback(address: SocketAddr) -> Result<SocketAddr, Error> {
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(Error::NotLoopback { address: address.to_string() })
    }
}

/// A door that is bound to its address and not yet open.
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    /// Where clients connect.
    pub(crate) address: SocketAddr,
}

impl Bound {
    /// Binds the address; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address is not on this machine, or the port is taken.
    pub(crate) async fn to(address: SocketAddr) -> Result<Self, Error> {
        let address = on_loopback(address)?;
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?;
        let address = listener.local_addr().map_err(|source| Error::Bind { address, source })?;
        Ok(Self { listener, address })
    }
}

/// `HOST:PORT` of a URL whose scheme says gRPC without TLS.
pub(crate) fn without_scheme(text: &str) -> &str {
    ["grpc://", "grpc+tcp://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text)
        .trim_end_matches('/')
}

fn names_a_host(bare: &str) -> bool {
    bare.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::HubAddress;
    use crate::Error;

    #[test]
    fn loopback_is_taken_in_every_spelling() {
        for text in
            ["127.0.0.1:50052", "localhost:50052", "[::1]:50052", "grpc://127.0.0.1:50052/", "127.8.8.8:1"]
        {
            assert!(HubAddress::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn everything_beyond_this_machine_is_refused_and_told_why() {
        for text in [
            "10.0.0.1:50052",
            "0.0.0.0:50052",
            "[::]:1",
            "hub.hospital.example:50052",
            "[::ffff:127.0.0.1]:1",
        ] {
            let error = HubAddress::parse(text).unwrap_err();
            assert!(matches!(error, Error::NotLoopback { .. }), "{text}: {error}");
            assert!(error.to_string().contains("mutual TLS comes with enrolment"));
        }
    }

    #[test]
    fn what_is_no_address_is_called_so() {
        for text in ["", "127.0.0.1", "localhost:port", ":50052", "127.0.0.1:99999"] {
            assert!(matches!(HubAddress::parse(text), Err(Error::Address { .. })), "{text}");
        }
    }
}
