//! Released batches as PostgreSQL's rows, in text and in binary form.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, Schema, TimestampMicrosecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldFormat, FieldInfo, QueryResponse};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::data::DataRow;
use prost::bytes::{BufMut, BytesMut};

use super::errors::error;

/// Days and microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's binary dates begin.
pub(super) const EPOCH_DAYS: i32 = 10_957;
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// PostgreSQL's type of a column of an answer.
pub(super) fn type_of(ty: &DataType) -> Type {
    match ty {
        DataType::Int64 => Type::INT8,
        DataType::Float64 => Type::FLOAT8,
        DataType::Boolean => Type::BOOL,
        DataType::Date32 => Type::DATE,
        DataType::Timestamp(_, _) => Type::TIMESTAMP,
        DataType::Decimal128(_, _) => Type::NUMERIC,
        _ => Type::TEXT,
    }
}

/// How many bytes a value of a type has; -1 where that varies.
fn size(ty: &Type) -> i16 {
    match *ty {
        Type::BOOL => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::DATE | Type::OID => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIMESTAMP => 8,
        _ => -1,
    }
}

/// A column as it is announced.
pub(super) fn field(name: &str, ty: Type, format: FieldFormat) -> FieldInfo {
    let size = size(&ty);
    FieldInfo::new(name.to_owned(), None, None, ty, format).with_type_size(size)
}

/// The format of a column, text where the client asked for nothing; a client that names too few formats means text.
pub(super) fn format_for(format: &Format, index: usize) -> FieldFormat {
    match format {
        Format::Individual(codes) => {
            codes.get(index).map_or(FieldFormat::Text, |code| FieldFormat::from(*code))
        }
        Format::UnifiedText | Format::UnifiedBinary => format.format_for(index),
    }
}

/// The columns of an answer as they are announced.
pub(super) fn fields(schema: &Schema, format: &Format) -> Vec<FieldInfo> {
    let columns = schema.fields().iter().enumerate();
    columns.map(|(i, f)| field(f.name(), type_of(f.data_type()), format_for(format, i))).collect()
}

/// An answer as rows.
pub(super) fn response(schema: &Schema, batches: Vec<RecordBatch>, format: &Format) -> QueryResponse {
    let fields = Arc::new(fields(schema, format));
    let announced = Arc::clone(&fields);
    let rows = batches.into_iter().flat_map(move |batch| match encoded(&batch, &announced) {
        Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
        Err(why) => vec![Err(unwritable(&why))],
    });
    QueryResponse::new(fields, futures::stream::iter(rows))
}

fn unwritable(why: &ArrowError) -> PgWireError {
    tracing::error!(%why, "an answer cannot be written as rows");
    error("XX000", "the answer cannot be written as rows")
}

fn encoded(batch: &RecordBatch, fields: &[FieldInfo]) -> Result<Vec<DataRow>, ArrowError> {
    let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.6f"));
    let texts: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<_, _>>()?;
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut bytes = BytesMut::new();
        for ((column, text), field) in batch.columns().iter().zip(&texts).zip(fields) {
            if column.is_null(row) {
                bytes.put_i32(-1);
                continue;
            }
            match field.format() {
                FieldFormat::Binary => put(&mut bytes, |value| binary(column.as_ref(), text, row, value))?,
                FieldFormat::Text => put(&mut bytes, |value| plain(column.as_ref(), text, row, value))?,
            }
        }
        rows.push(DataRow::new(bytes, fields.len() as i16));
    }
    Ok(rows)
}

/// Writes a value behind its length.
pub(super) fn put<E>(
    bytes: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), E>,
) -> Result<(), E> {
    let mut value = BytesMut::new();
    write(&mut value)?;
    bytes.put_i32(value.len() as i32);
    bytes.put_slice(&value);
    Ok(())
}

fn plain(
    column: &dyn Array,
    text: &ArrayFormatter<'_>,
    row: usize,
    out: &mut BytesMut,
) -> Result<(), ArrowError> {
    match column.data_type() {
        DataType::Boolean => out.put_slice(if column.as_boolean().value(row) { b"t" } else { b"f" }),
        DataType::Float64 => {
            let value = column.as_primitive::<Float64Type>().value(row);
            let text = if value.is_infinite() {
                if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
            } else {
                value.to_string()
            };
            out.put_slice(text.as_bytes());
        }
        _ => out.put_slice(text.value(row).try_to_string()?.as_bytes()),
    }
    Ok(())
}

fn binary(
    column: &dyn Array,
    text: &ArrayFormatter<'_>,
    row: usize,
    out: &mut BytesMut,
) -> Result<(), ArrowError> {
    match column.data_type() {
        DataType::Boolean => out.put_u8(column.as_boolean().value(row).into()),
        DataType::Int64 => out.put_i64(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => out.put_f64(column.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => out.put_i32(column.as_primitive::<Date32Type>().value(row) - EPOCH_DAYS),
        DataType::Timestamp(_, _) => {
            out.put_i64(column.as_primitive::<TimestampMicrosecondType>().value(row) - EPOCH_MICROS);
        }
        DataType::Decimal128(_, scale) => {
            numeric(column.as_primitive::<Decimal128Type>().value(row), *scale, out);
        }
        _ => out.put_slice(text.value(row).try_to_string()?.as_bytes()),
    }
    Ok(())
}

/// A decimal in PostgreSQL's binary form: digits to the base 10,000 around the point.
fn numeric(value: i128, scale: i8, out: &mut BytesMut) {
    let (scale, lifted) = (scale.max(0) as usize, (-scale).max(0) as u32);
    let digits = value.unsigned_abs().saturating_mul(10u128.saturating_pow(lifted)).to_string();
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let whole = format!("{whole:0>width$}", width = whole.len().div_ceil(4) * 4);
    let fraction = format!("{fraction:0<width$}", width = scale.div_ceil(4) * 4);
    let group = |four: &[u8]| four.iter().fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let groups: Vec<u16> =
        whole.as_bytes().chunks(4).chain(fraction.as_bytes().chunks(4)).map(group).collect();
    out.put_i16(groups.len() as i16);
    out.put_i16((whole.len() / 4) as i16 - 1);
    out.put_u16(if value < 0 { 0x4000 } else { 0 });
    out.put_u16(scale as u16);
    groups.into_iter().for_each(|group| out.put_u16(group));
}

/// A row of texts, as PostgreSQL's own commands answer.
pub(super) fn one_text(name: &str, value: &str) -> PgWireResult<QueryResponse> {
    let mut bytes = BytesMut::new();
    put(&mut bytes, |out| {
        out.put_slice(value.as_bytes());
        Ok::<(), PgWireError>(())
    })?;
    let fields = Arc::new(vec![field(name, Type::TEXT, FieldFormat::Text)]);
    Ok(QueryResponse::new(fields, futures::stream::iter([Ok(DataRow::new(bytes, 1))])))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
    };
    use datafusion::arrow::array::{Decimal128Array, TimestampMicrosecondArray};
    use datafusion::arrow::record_batch::RecordBatch;
    use pgwire::api::portal::Format;
    use prost::bytes::BytesMut;

    use super::{encoded, fields, numeric};

    fn batch() -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from(vec![Some(7), None]))),
            ("x", Arc::new(Float64Array::from(vec![0.5, f64::INFINITY]))),
            ("b", Arc::new(BooleanArray::from(vec![true, false]))),
            ("d", Arc::new(Date32Array::from(vec![10_958, 0]))),
            ("t", Arc::new(TimestampMicrosecondArray::from(vec![946_684_800_000_001, 0]))),
            ("s", Arc::new(StringArray::from(vec!["ä", ""]))),
            ("e", Arc::new(Decimal128Array::from(vec![-12_345, 5]).with_precision_and_scale(9, 2).unwrap())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
    }

    /// The values of a row as they are sent.
    fn values(format: &Format, row: usize) -> Vec<Option<Vec<u8>>> {
        let batch = batch();
        let rows = encoded(&batch, &fields(&batch.schema(), format)).unwrap();
        let (mut data, mut values) = (&rows[row].data[..], Vec::new());
        while let Some((length, rest)) = data.split_first_chunk::<4>() {
            let length = i32::from_be_bytes(*length);
            let (value, rest) = rest.split_at(length.max(0) as usize);
            values.push((length >= 0).then(|| value.to_vec()));
            data = rest;
        }
        values
    }

    #[test]
    fn text_is_as_postgresql_writes_it() {
        let texts = |row| -> Vec<Option<String>> {
            let values = values(&Format::UnifiedText, row);
            values.into_iter().map(|v| v.map(|v| String::from_utf8(v).unwrap())).collect()
        };
        let first = ["7", "0.5", "t", "2000-01-02", "2000-01-01 00:00:00.000001", "ä", "-123.45"];
        assert_eq!(texts(0), first.map(|text| Some(text.to_owned())));
        assert_eq!(texts(1)[0], None);
        assert_eq!(texts(1)[1].as_deref(), Some("Infinity"));
    }

    #[test]
    fn binary_counts_from_the_year_2000() {
        let values = values(&Format::UnifiedBinary, 0);
        assert_eq!(values[0], Some(7i64.to_be_bytes().to_vec()));
        assert_eq!(values[3], Some(1i32.to_be_bytes().to_vec()));
        assert_eq!(values[4], Some(1i64.to_be_bytes().to_vec()));
    }

    #[test]
    fn decimals_are_groups_of_four_digits() {
        let mut out = BytesMut::new();
        numeric(-12_345, 2, &mut out);
        let words: Vec<u16> = out.chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
        // Two groups, the first with weight 0: 123.4500, negative, two digits behind the point.
        assert_eq!(words, [2, 0, 0x4000, 2, 123, 4500]);
    }
}
