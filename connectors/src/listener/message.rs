//! Messages of one association (PS3.7 sections 6 and 9): command sets, and data sets as streams.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};

use super::association::End;
use super::wire::Wire;

/// Bytes of one command set; those that are answered have about 200.
const COMMAND_BYTES: usize = 16 << 10;
/// Says that no data set follows (PS3.7 section E.2).
const NO_DATA_SET: u16 = 0x0101;
/// Characters of an error comment.
const COMMENT: usize = 64;

pub(super) const C_STORE: u16 = 0x0001;
pub(super) const C_ECHO: u16 = 0x0030;
pub(super) const C_CANCEL: u16 = 0x0FFF;
/// The bit of responses.
pub(super) const RESPONSE: u16 = 0x8000;

/// A request.
#[derive(Default)]
pub(super) struct Command {
    /// The presentation context.
    pub(super) context: u8,
    pub(super) field: u16,
    pub(super) message: u16,
    pub(super) class: String,
    pub(super) instance: String,
    pub(super) has_data_set: bool,
}

/// The units of a wire, value by value.
pub(super) struct Inbox {
    pub(super) wire: Wire,
    values: VecDeque<PDataValue>,
    /// How long a message may pause.
    stall: Duration,
}

/// The data set of a message.
pub(super) struct DataSet<'i> {
    inbox: &'i mut Inbox,
    context: u8,
    value: Vec<u8>,
    at: usize,
    is_over: bool,
    /// Why the association is at its end.
    end: Option<End>,
}

impl Inbox {
    pub(super) fn new(wire: Wire, stall: Duration) -> Self {
        Self { wire, values: VecDeque::new(), stall }
    }

    /// The next unit before the deadline.
    pub(super) fn unit(&mut self) -> Result<Pdu, End> {
        let began = Instant::now();
        loop {
            match self.wire.poll()? {
                Some(pdu) => return Ok(pdu),
                None if began.elapsed() > self.stall => return Err(End::Idle),
                None => {}
            }
        }
    }

    /// The next request. While none comes, `waiting` is asked whether the association ends.
    pub(super) fn command(&mut self, mut waiting: impl FnMut() -> Result<(), End>) -> Result<Command, End> {
        while self.values.is_empty() {
            match self.wire.poll()? {
                Some(pdu) => self.values.extend(values_of(pdu)?),
                None => waiting()?,
            }
        }
        let (mut bytes, mut context) = (Vec::new(), None);
        loop {
            let value = self.value()?;
            let first = *context.get_or_insert(value.presentation_context_id);
            if value.value_type != PDataValueType::Command || value.presentation_context_id != first {
                return Err(End::Unexpected);
            }
            bytes.extend(value.data);
            if bytes.len() > COMMAND_BYTES {
                return Err(End::Malformed);
            }
            if value.is_last {
                return Command::parse(first, &bytes).ok_or(End::Malformed);
            }
        }
    }

    /// The next value of a message that has begun.
    fn value(&mut self) -> Result<PDataValue, End> {
        loop {
            if let Some(value) = self.values.pop_front() {
                return Ok(value);
            }
            let pdu = self.unit()?;
            self.values.extend(values_of(pdu)?);
        }
    }

    /// The data set that follows a command.
    pub(super) fn data_set(&mut self, context: u8) -> DataSet<'_> {
        DataSet { inbox: self, context, value: Vec::new(), at: 0, is_over: false, end: None }
    }

    /// Answers a request.
    pub(super) fn respond(&mut self, command: &Command, status: u16, comment: &str) -> Result<(), End> {
        let value = PDataValue {
            presentation_context_id: command.context,
            value_type: PDataValueType::Command,
            is_last: true,
            data: command.response(status, comment),
        };
        self.wire.send(&Pdu::PData { data: vec![value] })
    }
}

fn values_of(pdu: Pdu) -> Result<Vec<PDataValue>, End> {
    match pdu {
        Pdu::PData { data } => Ok(data),
        Pdu::ReleaseRQ => Err(End::Released),
        Pdu::AbortRQ { .. } => Err(End::Aborted),
        Pdu::AssociationRQ(_)
        | Pdu::AssociationAC(_)
        | Pdu::AssociationRJ(_)
        | Pdu::ReleaseRP
        | Pdu::Unknown { .. } => Err(End::Unexpected),
    }
}

impl DataSet<'_> {
    /// Reads the rest and forgets it. Says how the association ended, if it did so within the data set.
    pub(super) fn drain(mut self) -> Result<(), End> {
        while !self.is_over && self.end.is_none() {
            self.next();
        }
        self.end.map_or(Ok(()), Err)
    }

    /// Takes the next value in the place of the one that is read.
    fn next(&mut self) {
        match self.inbox.value() {
            Ok(value)
                if value.value_type == PDataValueType::Data
                    && value.presentation_context_id == self.context =>
            {
                (self.value, self.at, self.is_over) = (value.data, 0, value.is_last);
            }
            Ok(_) => self.end = Some(End::Unexpected),
            Err(end) => self.end = Some(end),
        }
    }
}

impl Read for DataSet<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.at == self.value.len() {
            match self.end {
                Some(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
                None if self.is_over => return Ok(0),
                None => self.next(),
            }
        }
        let read = self.value.get(self.at..).unwrap_or_default().read(room)?;
        self.at += read;
        Ok(read)
    }
}

impl Command {
    /// Reads a command set: implicit, least byte first, group 0000 alone (PS3.7 section 6.3.1).
    fn parse(context: u8, mut bytes: &[u8]) -> Option<Self> {
        let mut command = Self { context, has_data_set: true, ..Self::default() };
        while let Some((head, rest)) = bytes.split_first_chunk::<8>() {
            let &[a, b, c, d, e, f, g, h] = head;
            let length = usize::try_from(u32::from_le_bytes([e, f, g, h])).ok()?;
            let (value, rest) = rest.split_at_checked(length)?;
            let number = || value.try_into().map(u16::from_le_bytes).ok();
            match (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])) {
                (0, 0x0002) => command.class = uid(value)?,
                (0, 0x0100) => command.field = number()?,
                (0, 0x0110) => command.message = number()?,
                (0, 0x0800) => command.has_data_set = number()? != NO_DATA_SET,
                (0, 0x1000) => command.instance = uid(value)?,
                (0, _) => {}
                _ => return None,
            }
            bytes = rest;
        }
        (bytes.is_empty() && command.field != 0).then_some(command)
    }

    /// The response to the request.
    fn response(&self, status: u16, comment: &str) -> Vec<u8> {
        let comment: String = comment.chars().filter(char::is_ascii).take(COMMENT).collect();
        let mut bytes = Vec::new();
        put_text(&mut bytes, 0x0002, &self.class, 0);
        put(&mut bytes, 0x0100, &(self.field | RESPONSE).to_le_bytes());
        put(&mut bytes, 0x0120, &self.message.to_le_bytes());
        put(&mut bytes, 0x0800, &NO_DATA_SET.to_le_bytes());
        put(&mut bytes, 0x0900, &status.to_le_bytes());
        put_text(&mut bytes, 0x0902, &comment, b' ');
        put_text(&mut bytes, 0x1000, &self.instance, 0);
        let mut whole = Vec::new();
        put(&mut whole, 0x0000, &u32::try_from(bytes.len()).unwrap_or_default().to_le_bytes());
        [whole, bytes].concat()
    }
}

/// A UID of a command.
fn uid(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim_end_matches(['\0', ' ']);
    let is_uid = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_uid.then(|| text.to_owned())
}

/// An attribute of a command, unless it is empty.
fn put_text(bytes: &mut Vec<u8>, element: u16, text: &str, padding: u8) {
    let mut value = text.as_bytes().to_vec();
    if value.len() % 2 == 1 {
        value.push(padding);
    }
    if !value.is_empty() {
        put(bytes, element, &value);
    }
}

fn put(bytes: &mut Vec<u8>, element: u16, value: &[u8]) {
    bytes.extend([0, 0]);
    bytes.extend(element.to_le_bytes());
    bytes.extend(u32::try_from(value.len()).unwrap_or_default().to_le_bytes());
    bytes.extend(value);
}
