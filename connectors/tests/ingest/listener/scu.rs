//! A storage SCU that sends what it is told to, right or wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, PDataValue, PDataValueType, Pdu, PresentationContextProposed,
    PresentationContextResultReason, UserVariableItem, read_pdu, write_pdu,
};

pub(super) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(super) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(super) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub(super) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(super) const VERIFICATION: &str = "1.2.840.10008.1.1";

/// An association from the side of the sender.
pub(super) struct Scu {
    pub(super) socket: TcpStream,
    message: u16,
}

/// What a message says of its object.
pub(super) struct Sent<'s> {
    pub(super) context: u8,
    pub(super) class: &'s str,
    pub(super) instance: &'s str,
}

impl Scu {
    /// A connection without an association.
    pub(super) fn connect(address: SocketAddr) -> Self {
        Self { socket: TcpStream::connect(address).unwrap(), message: 0 }
    }

    /// Asks for an association of `caller` with `called`; each context is a class and its transfer syntaxes.
    pub(super) fn call(
        address: SocketAddr,
        (caller, called): (&str, &str),
        contexts: &[(&str, &[&str])],
    ) -> (Self, Pdu) {
        let mut scu = Self::connect(address);
        let proposed =
            contexts.iter().zip(0_u8..).map(|((class, syntaxes), number)| PresentationContextProposed {
                id: 2 * number + 1,
                abstract_syntax: (*class).to_owned(),
                transfer_syntaxes: syntaxes.iter().map(|uid| (*uid).to_owned()).collect(),
            });
        scu.send(&Pdu::AssociationRQ(AssociationRQ {
            protocol_version: 1,
            calling_ae_title: caller.to_owned(),
            called_ae_title: called.to_owned(),
            application_context_name: "1.2.840.10008.3.1.1.1".to_owned(),
            presentation_contexts: proposed.collect(),
            user_variables: vec![UserVariableItem::MaxLength(16384)],
        }));
        let answer = scu.receive().unwrap();
        (scu, answer)
    }

    /// All bytes that one who sends a CT image sends, without waiting for an answer.
    pub(super) fn bytes_of(caller: &str, data_set: &[u8]) -> Vec<u8> {
        let recorder = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = recorder.local_addr().unwrap();
        let recorded = std::thread::spawn(move || {
            let (mut socket, _) = recorder.accept().unwrap();
            // An abort, so that the call ends.
            socket.write_all(&[7, 0, 0, 0, 0, 4, 0, 0, 0, 0]).unwrap();
            let mut bytes = Vec::new();
            socket.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let (mut scu, _) = Self::call(address, (caller, "CAIM"), &[(CT, &[EXPLICIT])]);
        scu.command(0x0001, &Sent { context: 1, class: CT, instance: "1.2.3.9" }, true);
        scu.data(1, data_set, true);
        scu.send(&Pdu::ReleaseRQ);
        drop(scu);
        recorded.join().unwrap()
    }

    /// An association that is accepted, for CT images in one transfer syntax.
    pub(super) fn open(address: SocketAddr, caller: &str, syntax: &str) -> Self {
        let (scu, answer) = Self::call(address, (caller, "CAIM"), &[(CT, &[syntax])]);
        let Pdu::AssociationAC(accepted) = answer else { panic!("{answer:?}") };
        assert_eq!(reasons(&accepted), [PresentationContextResultReason::Acceptance]);
        scu
    }

    pub(super) fn send(&mut self, pdu: &Pdu) {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).unwrap();
        self.socket.write_all(&bytes).unwrap();
    }

    /// The next unit; `None` at the end of the connection.
    pub(super) fn receive(&mut self) -> Option<Pdu> {
        let mut bytes = vec![0; 6];
        self.socket.read_exact(&mut bytes).ok()?;
        let length = u32::from_be_bytes(bytes[2..6].try_into().unwrap());
        bytes.resize(6 + length as usize, 0);
        self.socket.read_exact(&mut bytes[6..]).ok()?;
        Some(read_pdu(&mut bytes.as_slice(), 1 << 20, true).unwrap().unwrap())
    }

    /// Sends a command without waiting.
    pub(super) fn command(&mut self, field: u16, sent: &Sent<'_>, has_data_set: bool) {
        self.message += 1;
        let data_set = if has_data_set { 0x0001_u16 } else { 0x0101 };
        let mut bytes = text(0x0002, sent.class);
        bytes.extend(attribute(0x0100, &field.to_le_bytes()));
        bytes.extend(attribute(0x0110, &self.message.to_le_bytes()));
        bytes.extend(attribute(0x0700, &[0, 0]));
        bytes.extend(attribute(0x0800, &data_set.to_le_bytes()));
        bytes.extend(text(0x1000, sent.instance));
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let whole = [attribute(0x0000, &length), bytes].concat();
        self.values(sent.context, &PDataValueType::Command, &[(whole, true)]);
    }

    /// Sends pieces of a data set.
    pub(super) fn data(&mut self, context: u8, bytes: &[u8], is_last: bool) {
        let pieces = bytes.chunks(10_000).collect::<Vec<_>>();
        let last = pieces.len().saturating_sub(1);
        let values: Vec<_> =
            pieces.iter().enumerate().map(|(n, piece)| (piece.to_vec(), is_last && n == last)).collect();
        self.values(context, &PDataValueType::Data, &values);
    }

    fn values(&mut self, context: u8, kind: &PDataValueType, values: &[(Vec<u8>, bool)]) {
        for (data, is_last) in values {
            let value = PDataValue {
                presentation_context_id: context,
                value_type: kind.clone(),
                is_last: *is_last,
                data: data.clone(),
            };
            self.send(&Pdu::PData { data: vec![value] });
        }
    }

    /// The status of the response to the last command.
    pub(super) fn status(&mut self) -> u16 {
        let Some(Pdu::PData { data }) = self.receive() else { panic!("no response") };
        let bytes = &data[0].data;
        let place = bytes.windows(8).position(|head| head == [0, 0, 0, 9, 2, 0, 0, 0]).unwrap();
        u16::from_le_bytes(bytes[place + 8..place + 10].try_into().unwrap())
    }

    /// Sends a CT image in the first context, and gives the status.
    pub(super) fn store(&mut self, instance: &str, data_set: &[u8]) -> u16 {
        self.store_as(&Sent { context: 1, class: CT, instance }, data_set)
    }

    pub(super) fn store_as(&mut self, sent: &Sent<'_>, data_set: &[u8]) -> u16 {
        self.command(0x0001, sent, true);
        self.data(sent.context, data_set, true);
        self.status()
    }

    pub(super) fn release(mut self) {
        self.send(&Pdu::ReleaseRQ);
        assert_eq!(self.receive(), Some(Pdu::ReleaseRP));
    }
}

pub(super) fn reasons(accepted: &AssociationAC) -> Vec<PresentationContextResultReason> {
    accepted.presentation_contexts.iter().map(|context| context.reason.clone()).collect()
}

fn text(element: u16, value: &str) -> Vec<u8> {
    let mut value = value.as_bytes().to_vec();
    value.resize(value.len().next_multiple_of(2), 0);
    attribute(element, &value)
}

fn attribute(element: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend(element.to_le_bytes());
    bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
    bytes.extend(value);
    bytes
}
