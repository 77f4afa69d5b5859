//! Session options over the wire: `SetSessionOptions`, `GetSessionOptions` and `CloseSession` of Flight.
//!
//! The messages are those of `Flight.proto` (Arrow 15 and later), which the Rust binding does not generate. Options
//! are `catalog` and `schema`, and those of [`crate::options`]. Closing a session forgets its options and leaves the
//! token alone, since several connections may share one.

use std::collections::HashMap;
use std::sync::PoisonError;

use prost::Message;
use prost::bytes::Bytes;
use tonic::Status;

use caim_engine::hub::public::CATALOG;

use super::callers::{Caller, Session, read};
use super::catalogue::Catalogue;
use crate::options::Options;

#[derive(Clone, PartialEq, Message)]
pub(super) struct SetSessionOptionsRequest {
    #[prost(map = "string, message", tag = "1")]
    pub(super) session_options: HashMap<String, SessionOptionValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(super) errors: HashMap<String, SetError>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SetError {
    #[prost(enumeration = "ErrorValue", tag = "1")]
    pub(super) value: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum ErrorValue {
    Unspecified = 0,
    InvalidName = 1,
    InvalidValue = 2,
    Error = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(super) session_options: HashMap<String, SessionOptionValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CloseSessionResult {
    #[prost(enumeration = "CloseStatus", tag = "1")]
    pub(super) status: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum CloseStatus {
    Unspecified = 0,
    Closed = 1,
    Closing = 2,
    NotCloseable = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionOptionValue {
    #[prost(oneof = "OptionValue", tags = "1, 2, 3, 4, 5")]
    pub(super) option_value: Option<OptionValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum OptionValue {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Truth(bool),
    #[prost(sfixed64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Real(f64),
    #[prost(message, tag = "5")]
    Texts(Texts),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Texts {
    #[prost(string, repeated, tag = "1")]
    pub(super) values: Vec<String>,
}

/// Sets what can be set and names what cannot.
pub(super) fn set(
    body: &[u8],
    caller: &Caller,
    session: &Session,
    catalogue: &Catalogue,
) -> Result<Bytes, Status> {
    let request = SetSessionOptionsRequest::decode(body)
        .map_err(|_| Status::invalid_argument("this is no SetSessionOptionsRequest"))?;
    let mut options = session.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = request.session_options.into_iter().filter_map(|(key, value)| {
        let error = set_one(&mut options, &key, value, caller, catalogue).err()?;
        Some((key, SetError { value: error as i32 }))
    });
    Ok(SetSessionOptionsResult { errors: failed.collect() }.encode_to_vec().into())
}

fn set_one(
    options: &mut Options,
    key: &str,
    value: SessionOptionValue,
    caller: &Caller,
    catalogue: &Catalogue,
) -> Result<(), ErrorValue> {
    let value = match value.option_value {
        None => None,
        Some(OptionValue::Text(text)) => Some(text),
        Some(OptionValue::Integer(number)) => Some(number.to_string()),
        Some(OptionValue::Real(number)) => Some(number.to_string()),
        Some(OptionValue::Truth(_) | OptionValue::Texts(_)) => return Err(ErrorValue::InvalidValue),
    };
    match key {
        "catalog" => valid(value.as_deref().is_none_or(|name| name == CATALOG)),
        "schema" => {
            valid(value.as_deref().is_none_or(|name| catalogue.has_schema(name)))?;
            options.schema = value;
            Ok(())
        }
        key if key.starts_with("caim.") => options
            .set(key, value.as_deref().unwrap_or_default(), &caller.user)
            .map_err(|_| ErrorValue::InvalidValue),
        _ => Err(ErrorValue::InvalidName),
    }
}

fn valid(is: bool) -> Result<(), ErrorValue> {
    if is { Ok(()) } else { Err(ErrorValue::InvalidValue) }
}

/// All options that are set.
pub(super) fn get(caller: &Caller) -> Bytes {
    let text = |value: String| SessionOptionValue { option_value: Some(OptionValue::Text(value)) };
    let options = caller.session.as_ref().map(read).unwrap_or_default();
    let mut all: HashMap<String, SessionOptionValue> =
        options.chosen().into_iter().map(|(key, value)| (key.to_owned(), text(value))).collect();
    all.insert("catalog".to_owned(), text(CATALOG.to_owned()));
    GetSessionOptionsResult { session_options: all }.encode_to_vec().into()
}

/// Forgets the options. Never fails: clients close sessions that they never opened.
pub(super) fn close(caller: &Caller) -> Bytes {
    if let Some(session) = &caller.session {
        *session.lock().unwrap_or_else(PoisonError::into_inner) = Options::default();
    }
    CloseSessionResult { status: CloseStatus::Closed as i32 }.encode_to_vec().into()
}
