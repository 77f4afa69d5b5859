//! Values that clients bind, from PostgreSQL's text and binary forms.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::Portal;
use pgwire::error::PgWireError;

use super::errors::error;
use super::rows::{EPOCH_DAYS, EPOCH_MICROS};

/// The values of a portal; `expected` are the types of the statement where the client names none.
pub(super) fn values<S: Clone>(
    portal: &Portal<S>,
    expected: &[Type],
) -> Result<Vec<ScalarValue>, PgWireError> {
    let value = |(i, bytes): (usize, &Option<prost::bytes::Bytes>)| {
        let named = portal.statement.parameter_types.get(i).cloned().flatten();
        let named = named.filter(|ty| *ty != Type::UNKNOWN);
        let ty = named.or_else(|| expected.get(i).cloned()).unwrap_or(Type::TEXT);
        let Some(bytes) = bytes else { return Ok(null(&ty)) };
        let binary = match &portal.parameter_format {
            pgwire::api::portal::Format::Individual(codes) => codes.get(i) == Some(&1),
            pgwire::api::portal::Format::UnifiedBinary => true,
            pgwire::api::portal::Format::UnifiedText => false,
        };
        let read = if binary { from_binary(&ty, bytes) } else { from_text(&ty, bytes) };
        read.ok_or_else(|| error("22P02", &format!("parameter ${} is no value of type {}", i + 1, ty.name())))
    };
    portal.parameters.iter().enumerate().map(value).collect()
}

/// The type of the hub that values of a type become.
fn arrow_type(ty: &Type) -> DataType {
    match *ty {
        Type::BOOL => DataType::Boolean,
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => DataType::Int64,
        Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC => DataType::Float64,
        Type::DATE => DataType::Date32,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, None)
        }
        _ => DataType::Utf8,
    }
}

fn null(ty: &Type) -> ScalarValue {
    ScalarValue::try_from(arrow_type(ty)).unwrap_or(ScalarValue::Utf8(None))
}

fn from_text(ty: &Type, bytes: &[u8]) -> Option<ScalarValue> {
    let text = std::str::from_utf8(bytes).ok()?;
    if *ty == Type::BOOL {
        return Some(ScalarValue::Boolean(Some(match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "1" | "on" | "yes" | "y" => true,
            "f" | "false" | "0" | "off" | "no" | "n" => false,
            _ => return None,
        })));
    }
    let value = ScalarValue::Utf8(Some(text.to_owned()));
    let cast = value.cast_to(&arrow_type(ty)).ok()?;
    (!cast.is_null()).then_some(cast)
}

fn from_binary(ty: &Type, bytes: &[u8]) -> Option<ScalarValue> {
    Some(match *ty {
        Type::BOOL => ScalarValue::Boolean(Some(*bytes.first()? != 0)),
        Type::INT2 => ScalarValue::Int64(Some(i16::from_be_bytes(bytes.try_into().ok()?).into())),
        Type::INT4 => ScalarValue::Int64(Some(i32::from_be_bytes(bytes.try_into().ok()?).into())),
        Type::OID => ScalarValue::Int64(Some(u32::from_be_bytes(bytes.try_into().ok()?).into())),
        Type::INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(bytes.try_into().ok()?))),
        Type::FLOAT4 => ScalarValue::Float64(Some(f32::from_be_bytes(bytes.try_into().ok()?).into())),
        Type::FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(bytes.try_into().ok()?))),
        Type::DATE => {
            let days = i32::from_be_bytes(bytes.try_into().ok()?);
            ScalarValue::Date32(Some(days.checked_add(EPOCH_DAYS)?))
        }
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            let micros = i64::from_be_bytes(bytes.try_into().ok()?);
            ScalarValue::TimestampMicrosecond(Some(micros.checked_add(EPOCH_MICROS)?), None)
        }
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            ScalarValue::Utf8(Some(String::from_utf8(bytes.to_vec()).ok()?))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;
    use pgwire::api::Type;

    use super::{from_binary, from_text};

    #[test]
    fn both_forms_give_the_same_value() {
        let text = |ty: &Type, text: &str| from_text(ty, text.as_bytes()).unwrap();
        assert_eq!(text(&Type::INT4, "60"), from_binary(&Type::INT4, &60i32.to_be_bytes()).unwrap());
        assert_eq!(text(&Type::DATE, "2000-01-02"), from_binary(&Type::DATE, &1i32.to_be_bytes()).unwrap());
        assert_eq!(text(&Type::BOOL, "t"), from_binary(&Type::BOOL, &[1]).unwrap());
        assert_eq!(text(&Type::TEXT, "CT"), ScalarValue::Utf8(Some("CT".into())));
        assert_eq!(text(&Type::NUMERIC, "1.5"), ScalarValue::Float64(Some(1.5)));
    }

    #[test]
    fn what_is_no_value_is_none() {
        assert_eq!(from_text(&Type::INT4, b"many"), None);
        assert_eq!(from_text(&Type::TEXT, &[0xff]), None);
        assert_eq!(from_binary(&Type::INT8, &[0, 1]), None);
        assert_eq!(from_binary(&Type::JSON, b"{}"), None);
    }
}
