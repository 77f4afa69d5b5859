//! A whole column at once: an array as the source has it becomes an array as the warehouse stores it.
//!
//! Arrays that have the column's type already are cast. Everything else goes through its text form, so that one
//! value means the same in CSV, in Parquet text and in a typed Parquet column.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, BooleanBuilder, PrimitiveArray, PrimitiveBuilder,
    StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use caim_ontology::{Column, ColumnType};

use super::{Reading, Rules, age, number, text, time};

/// A column as it will be stored.
pub(crate) struct Values {
    /// In the column's stored type.
    pub(crate) array: ArrayRef,
    /// Values that became NULL because they could not be read.
    pub(crate) unreadable: u64,
    /// Texts that were read as Latin-1.
    pub(crate) latin1: u64,
}

/// The Arrow type in which a column is stored.
pub(crate) fn stored_type(ty: ColumnType) -> DataType {
    match ty {
        ColumnType::Text => DataType::Utf8,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
    }
}

/// Reads `raw` as values of `column`.
///
/// # Errors
/// When the source's type holds several values a row (lists, structures).
pub(crate) fn read(column: &Column, raw: &ArrayRef, rules: &Rules) -> Result<Values, ArrowError> {
    let source = raw.data_type();
    if source.is_nested() {
        return Err(ArrowError::CastError(format!("type {source} holds several values a row")));
    }
    let age = column.vr.as_deref() == Some("AS");
    let (first, last) = time::bounds(&rules.years);
    let (first_us, last_us) = time::bounds_us(&rules.years);
    match column.ty {
        ColumnType::Integer if age => Ok(parsed::<Int64Type>(&words(raw)?, age::years)),
        ColumnType::Integer if source.is_integer() => typed::<Int64Type>(raw, column.ty, |_| true),
        ColumnType::Integer => Ok(parsed::<Int64Type>(&words(raw)?, number::integer)),
        ColumnType::Float if source.is_numeric() => finite(raw),
        ColumnType::Float => Ok(parsed::<Float64Type>(&words(raw)?, number::float)),
        ColumnType::Date if is_instant(source) => {
            typed::<Date32Type>(raw, column.ty, |day| (first..=last).contains(&day))
        }
        ColumnType::Date => Ok(parsed::<Date32Type>(&words(raw)?, |b| time::date(b, &rules.years))),
        ColumnType::Timestamp if is_instant(source) => {
            typed::<TimestampMicrosecondType>(raw, column.ty, |us| (first_us..=last_us).contains(&us))
        }
        ColumnType::Timestamp => {
            Ok(parsed::<TimestampMicrosecondType>(&words(raw)?, |b| time::timestamp(b, &rules.years)))
        }
        ColumnType::Boolean => Ok(booleans(&words(raw)?)),
        ColumnType::Text => Ok(texts(&words(raw)?, rules)),
    }
}

fn is_instant(source: &DataType) -> bool {
    matches!(source, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

/// The text form of any array, as bytes that need not be UTF-8.
fn words(raw: &ArrayRef) -> Result<BinaryArray, ArrowError> {
    let text = match raw.data_type() {
        DataType::Dictionary(_, values) => cast(raw, values)?,
        _ => Arc::clone(raw),
    };
    let binary = match text.data_type() {
        DataType::Binary => text,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            cast(&text, &DataType::Binary)?
        }
        DataType::Null => cast(&text, &DataType::Binary)?,
        _ => cast(&cast(&text, &DataType::Utf8)?, &DataType::Binary)?,
    };
    Ok(binary.as_binary::<i32>().clone())
}

fn parsed<T: ArrowPrimitiveType>(words: &BinaryArray, parse: impl Fn(&[u8]) -> Reading<T::Native>) -> Values {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(words.len());
    let mut unreadable = 0;
    for word in words {
        match word.map_or(Reading::Missing, &parse) {
            Reading::Value(value) => builder.append_value(value),
            Reading::Missing => builder.append_null(),
            Reading::Unreadable => {
                unreadable += 1;
                builder.append_null();
            }
        }
    }
    Values { array: Arc::new(builder.finish()), unreadable, latin1: 0 }
}

/// Casts an array of the right kind; values that do not fit or are not `allowed` become NULL.
fn typed<T: ArrowPrimitiveType>(
    raw: &ArrayRef,
    ty: ColumnType,
    allowed: impl Fn(T::Native) -> bool,
) -> Result<Values, ArrowError> {
    let array = cast(raw, &stored_type(ty))?;
    let array: PrimitiveArray<T> =
        array.as_primitive::<T>().iter().map(|value| value.filter(|v| allowed(*v))).collect();
    let unreadable = (array.null_count() - raw.logical_null_count()) as u64;
    Ok(Values { array: Arc::new(array), unreadable, latin1: 0 })
}

/// Numbers of any kind as floats: NaN is a missing number, infinity is not one.
fn finite(raw: &ArrayRef) -> Result<Values, ArrowError> {
    let array = cast(raw, &DataType::Float64)?;
    let mut values = array.as_primitive::<Float64Type>().clone();
    let mut unreadable = (values.null_count() - raw.logical_null_count()) as u64;
    if values.iter().flatten().any(|value| !value.is_finite()) {
        unreadable += values.iter().flatten().filter(|value| value.is_infinite()).count() as u64;
        values = values.iter().map(|value| value.filter(|v| v.is_finite())).collect();
    }
    Ok(Values { array: Arc::new(values), unreadable, latin1: 0 })
}

fn booleans(words: &BinaryArray) -> Values {
    let mut builder = BooleanBuilder::with_capacity(words.len());
    let mut unreadable = 0;
    for word in words {
        let reading = word.map_or(Reading::Missing, number::boolean);
        unreadable += u64::from(reading == Reading::Unreadable);
        builder.append_option(if let Reading::Value(value) = reading { Some(value) } else { None });
    }
    let array: BooleanArray = builder.finish();
    Values { array: Arc::new(array), unreadable, latin1: 0 }
}

fn texts(words: &BinaryArray, rules: &Rules) -> Values {
    let mut builder = StringBuilder::with_capacity(words.len(), words.value_data().len());
    let (mut unreadable, mut latin1) = (0, 0);
    for word in words {
        let (reading, decoded) = word.map_or((Reading::Missing, false), |w| text::read(w, rules.text));
        latin1 += u64::from(decoded);
        match reading {
            Reading::Value(text) => builder.append_value(text),
            Reading::Missing => builder.append_null(),
            Reading::Unreadable => {
                unreadable += 1;
                builder.append_null();
            }
        }
    }
    Values { array: Arc::new(builder.finish()), unreadable, latin1 }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array, LargeStringArray, ListArray,
        StringArray, StringViewArray, TimestampNanosecondArray, UInt64Array,
    };
    use arrow::datatypes::Int32Type;
    use caim_ontology::Models;

    use super::*;

    /// Reads `raw` into a column of the bundled DICOM model.
    fn read_as(name: &str, raw: ArrayRef) -> Values {
        let models = Models::bundled().unwrap();
        read(models.table("dicom", "series").unwrap().column(name).unwrap(), &raw, &Rules::dicom()).unwrap()
    }

    fn ints(values: &Values) -> Vec<Option<i64>> {
        values.array.as_primitive::<Int64Type>().iter().collect()
    }

    #[test]
    fn text_means_the_same_in_every_arrow_type_of_text() {
        let texts = ["CT", " MR ", ""];
        let dictionary: DictionaryArray<Int32Type> = texts.into_iter().collect();
        let arrays: [ArrayRef; 5] = [
            Arc::new(StringArray::from(texts.to_vec())),
            Arc::new(LargeStringArray::from(texts.to_vec())),
            Arc::new(StringViewArray::from(texts.to_vec())),
            Arc::new(BinaryArray::from(texts.map(str::as_bytes).to_vec())),
            Arc::new(dictionary),
        ];
        for array in arrays {
            let values = read_as("modality", array);
            assert_eq!(
                values.array.as_string::<i32>(),
                &StringArray::from(vec![Some("CT"), Some("MR"), None])
            );
            assert_eq!(values.unreadable, 0);
        }
    }

    #[test]
    fn whole_numbers_come_from_integers_floats_decimals_and_text() {
        let decimal =
            Decimal128Array::from(vec![Some(5000), Some(5500), None]).with_precision_and_scale(18, 3);
        let arrays: [ArrayRef; 4] = [
            Arc::new(Float64Array::from(vec![Some(5.0), Some(5.5), Some(f64::NAN)])),
            Arc::new(decimal.unwrap()),
            Arc::new(StringArray::from(vec![Some("5"), Some("x"), None])),
            Arc::new(UInt64Array::from(vec![Some(5), Some(u64::MAX), None])),
        ];
        for array in arrays {
            let ty = array.data_type().clone();
            let values = read_as("instancecount", array);
            assert_eq!((ints(&values), values.unreadable), (vec![Some(5), None, None], 1), "{ty}");
        }
    }

    #[test]
    fn floats_lose_infinities_and_nothing_else() {
        let array = Float64Array::from(vec![Some(1.5), Some(f64::INFINITY), Some(f64::NAN), None]);
        let values = read_as("slicethickness", Arc::new(array));
        assert_eq!(
            values.array.as_primitive::<Float64Type>(),
            &Float64Array::from(vec![Some(1.5), None, None, None])
        );
        assert_eq!(values.unreadable, 1);
        let integers = read_as("kvp", Arc::new(Int32Array::from(vec![120])));
        assert_eq!(integers.array.as_primitive::<Float64Type>().value(0), 120.0);
    }

    #[test]
    fn dates_come_typed_or_as_text_and_placeholders_are_null_in_both() {
        let day = 19_362; // 2023-01-05
        let arrays: [ArrayRef; 4] = [
            Arc::new(Date32Array::from(vec![Some(day), Some(-719_162)])), // 0001-01-01
            Arc::new(StringArray::from(vec!["20230105", "00010101"])),
            Arc::new(StringArray::from(vec!["2023.01.05", "UNKNOWN"])),
            Arc::new(Int32Array::from(vec![20_230_105, 10_101])),
        ];
        for array in arrays {
            let ty = array.data_type().clone();
            let values = read_as("studydate", array);
            let expected = Date32Array::from(vec![Some(day), None]);
            assert_eq!(
                (values.array.as_primitive::<Date32Type>(), values.unreadable),
                (&expected, 1),
                "{ty}"
            );
        }
        let noon =
            TimestampNanosecondArray::from(vec![i64::from(day) * 86_400_000_000_000 + 43_200_000_000_000]);
        assert_eq!(read_as("studydate", Arc::new(noon)).array.as_primitive::<Date32Type>().value(0), day);
    }

    #[test]
    fn ages_come_as_attributes_or_as_numbers() {
        let values =
            read_as("patientage", Arc::new(StringArray::from(vec![Some("056Y"), Some("6657"), None])));
        assert_eq!((ints(&values), values.unreadable), (vec![Some(56), None, None], 1));
        assert_eq!(ints(&read_as("patientage", Arc::new(Int32Array::from(vec![56])))), [Some(56)]);
    }

    #[test]
    fn a_list_is_refused_by_its_type() {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
        let models = Models::bundled().unwrap();
        let column = models.table("dicom", "series").unwrap().column("modality").unwrap();
        let error = read(column, &(Arc::new(lists) as ArrayRef), &Rules::dicom()).err().unwrap();
        assert!(error.to_string().contains("several values"));
    }
}
