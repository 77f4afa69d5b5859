//! The field names of a configuration section, asked from its own `Deserialize`.
//!
//! So the type is the only list of keys there is: the check for unknown keys cannot fall behind it.

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The names that `T` is deserialised from; none when `T` takes any key (a map).
pub(super) fn fields<'de, T: Deserialize<'de>>() -> Option<&'static [&'static str]> {
    let mut fields = None;
    // It always fails: the deserialiser has no value to give, it only listens to what is asked for.
    let _ = T::deserialize(Listener(&mut fields));
    fields
}

struct Listener<'a>(&'a mut Option<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Listener<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = Some(fields);
        Err(serde::de::Error::custom("no value"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::fields;
    use crate::config::HubSection;

    #[test]
    fn a_struct_names_its_fields_and_a_map_takes_any() {
        assert_eq!(fields::<HubSection>(), Some(&["flight", "postgres", "http", "nodes"][..]));
        assert_eq!(fields::<BTreeMap<String, String>>(), None);
    }
}
