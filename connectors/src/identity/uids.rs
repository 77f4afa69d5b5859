//! Unique identifiers that name the same things inside this node and nothing outside it.
//!
//! HMAC-SHA-256(secret, domain, UID), 122 bits of it as a UUID in decimal below 2.25 (PS3.5 section B.2). One UID has one
//! keyed form wherever it stands, so that rows of DICOM, OMOP and FHIR still join.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringBuilder, new_null_array};
use arrow::datatypes::DataType;
use caim_ontology::Column;

use crate::Secret;

const DOMAIN: &str = "caim.uid.1";

/// Keys the unique identifiers of one node.
#[derive(Clone)]
pub(crate) struct UidKey(Secret);

impl UidKey {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(secret.clone())
    }

    /// The keyed form of a UID.
    pub(crate) fn key(&self, uid: &str) -> String {
        let mac = self.0.mac(DOMAIN, &[uid.trim().as_bytes()]);
        let mut half = [0; 16];
        half.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        // Version 8 (RFC 9562): a UUID by a rule of its own.
        let number = (u128::from_be_bytes(half) & !(0xF << 76) & !(0x3 << 62)) | (0x8 << 76) | (0x2 << 62);
        format!("2.25.{number}")
    }

    /// The values of a column as they are stored: UIDs of things of the hospital keyed, and no address, which names
    /// them in clear.
    pub(crate) fn column(&self, column: &Column, values: &ArrayRef) -> ArrayRef {
        if *values.data_type() != DataType::Utf8 {
            return Arc::clone(values);
        }
        if column.is_uid() {
            return self.texts(values);
        }
        match column.vr.as_deref() {
            Some("UR") => new_null_array(&DataType::Utf8, values.len()),
            _ => Arc::clone(values),
        }
    }

    /// UIDs, keyed. Neighbours often have the same one: it is keyed once.
    pub(crate) fn texts(&self, values: &ArrayRef) -> ArrayRef {
        let mut keyed = StringBuilder::with_capacity(values.len(), values.len() * 44);
        let mut last = (String::new(), String::new());
        for uid in values.as_string::<i32>() {
            let Some(uid) = uid else {
                keyed.append_null();
                continue;
            };
            if last.0 != uid {
                last = (uid.to_owned(), self.key(uid));
            }
            keyed.append_value(&last.1);
        }
        Arc::new(keyed.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_has_one_keyed_form_that_only_the_secret_gives() {
        let key = |secret| UidKey::new(&Secret::from_bytes([secret; 32])).key("1.2.840.1");
        assert_eq!(key(1), key(1));
        assert_eq!(UidKey::new(&Secret::from_bytes([1; 32])).key(" 1.2.840.1"), key(1));
        assert_ne!(key(1), key(2));
    }

    #[test]
    fn a_keyed_uid_is_a_uid_made_of_a_uuid() {
        for number in 0..100 {
            let keyed = UidKey::new(&Secret::from_bytes([3; 32])).key(&number.to_string());
            let uuid: u128 = keyed.strip_prefix("2.25.").unwrap().parse().unwrap();
            assert!(keyed.len() <= 44 && !keyed.starts_with("2.25.0"));
            assert_eq!(((uuid >> 76) & 0xF, (uuid >> 62) & 0x3), (8, 2));
        }
    }
}
