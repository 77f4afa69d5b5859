//! A list of DICOM JSON, object by object: of a study with thousands of instances one is held as a tree at a time.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::Value;

/// What becomes of each object of a list.
///
/// # Errors
/// The first reason of `each`, or that it is no list. Nothing of the list is quoted.
pub(super) fn each<T>(text: &[u8], each: impl FnMut(&Value) -> Result<T, String>) -> Result<Vec<T>, String> {
    let mut refused = None;
    let objects = Objects { each, refused: &mut refused };
    let mut json = serde_json::Deserializer::from_slice(text);
    let made = json.deserialize_seq(objects).and_then(|made| json.end().map(|()| made));
    made.map_err(|_| refused.unwrap_or_else(|| "an answer is no list of DICOM JSON".to_owned()))
}

struct Objects<'r, F> {
    each: F,
    refused: &'r mut Option<String>,
}

impl<'de, T, F: FnMut(&Value) -> Result<T, String>> Visitor<'de> for Objects<'_, F> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut made = Vec::new();
        while let Some(object) = list.next_element::<Value>()? {
            match (self.each)(&object) {
                Ok(one) => made.push(one),
                Err(reason) => {
                    *self.refused = Some(format!("object {} of an answer: {reason}", made.len()));
                    return Err(A::Error::custom("refused"));
                }
            }
        }
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn every_object_of_a_list_is_made_something_of() {
        let numbers =
            |text: &str| each(text.as_bytes(), |v| v["n"].as_u64().ok_or_else(|| "no n".to_owned()));
        assert_eq!(numbers(r#"[{"n": 1}, {"n": 2}]"#), Ok(vec![1, 2]));
        assert_eq!(numbers(" [ ] "), Ok(vec![]));
        assert_eq!(numbers(r#"[{"n": 1}, {"m": "canary"}]"#), Err("object 1 of an answer: no n".to_owned()));
        for text in ["", "{}", r#"{"n": "canary"}"#, "[{\"n\": 1}", "[] canary", "<html>canary"] {
            assert_eq!(numbers(text), Err("an answer is no list of DICOM JSON".to_owned()), "{text}");
        }
    }
}
