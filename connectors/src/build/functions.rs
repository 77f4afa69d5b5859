//! The functions that mappings have besides those of SQL.
//!
//! | function | value |
//! |---|---|
//! | `concept(column, system, value, ...)` | the concept that the first pair of system and value with one has, below the roots of that column |
//! | `original(system, value, ...)` | the first pair with a value, as `system:value`, or `value` where the system is NULL |
//! | `key_of(value, ...)` | a keyed hash of the values, as a number above zero; NULL if one of them is |
//! | `date_of(year, month, day)` | a date; NULL if there is no such day |
//! | `days_between(from, to)` | whole days |
//! | `completed_years(birth, day)` | age in completed years; NULL before birth |

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type};
use chrono::{Datelike, NaiveDate};
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr_fn::SimpleScalarUDF;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Signature, Volatility};
use datafusion::prelude::SessionContext;

use super::concepts::{Translator, with_system};
use super::distinct::each_once;
use crate::row_key::NameKey;

/// The name that OMOP gives to "No matching concept" (0) and to vocabularies of nothing.
const NO_CONCEPT: &str = "0";

/// Gives a session the functions.
pub(super) fn register(context: &SessionContext, translator: Arc<Translator>, names: NameKey) {
    let any = || Signature::variadic_any(Volatility::Immutable);
    let concept = move |rows: &[ArrayRef]| concept(&translator, rows);
    let functions: [(&str, Signature, DataType, Body); 6] = [
        ("concept", any(), DataType::Utf8, Box::new(move |rows| each_once(rows, &concept))),
        ("original", any(), DataType::Utf8, Box::new(|rows| each_once(rows, &original))),
        ("key_of", any(), DataType::Int64, each_row(move |rows| key_of(&names, rows))),
        ("date_of", exact(&DataType::Int64, 3), DataType::Date32, each_row(date_of)),
        ("days_between", exact(&DataType::Date32, 2), DataType::Int64, each_row(days_between)),
        ("completed_years", exact(&DataType::Date32, 2), DataType::Int64, each_row(completed_years)),
    ];
    for (name, signature, ty, body) in functions {
        let run = move |arguments: &[ColumnarValue]| Ok(ColumnarValue::Array(body(arguments)?));
        let function = SimpleScalarUDF::new_with_signature(name, signature, ty, Arc::new(run));
        context.register_udf(ScalarUDF::from(function));
    }
}

type Body = Box<dyn Fn(&[ColumnarValue]) -> DfResult<ArrayRef> + Send + Sync>;

/// A function that is called for every row.
fn each_row(body: impl Fn(&[ArrayRef]) -> DfResult<ArrayRef> + Send + Sync + 'static) -> Body {
    Box::new(move |arguments| body(&ColumnarValue::values_to_arrays(arguments)?))
}

fn exact(ty: &DataType, arguments: usize) -> Signature {
    Signature::exact(vec![ty.clone(); arguments], Volatility::Immutable)
}

/// The arguments as text.
fn texts(arguments: &[ArrayRef]) -> DfResult<Vec<StringArray>> {
    let text = |array: &ArrayRef| Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone());
    arguments.iter().map(text).collect()
}

fn rows(arguments: &[ArrayRef]) -> usize {
    arguments.first().map_or(0, Array::len)
}

/// A code of a row that says something; OMOP writes 0 where it knows nothing.
fn said<'a>(system: Option<&str>, values: &'a StringArray, row: usize) -> Option<&'a str> {
    let value = values.is_valid(row).then(|| values.value(row)).filter(|value| !value.is_empty())?;
    let nothing = value == NO_CONCEPT && system == Some("OMOP") || system == Some("None");
    (!nothing).then_some(value)
}

fn value_at(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

fn concept(translator: &Translator, arguments: &[ArrayRef]) -> DfResult<ArrayRef> {
    let texts = texts(arguments)?;
    let Some((column, pairs)) = texts.split_first() else { return Err(arity("concept")) };
    if pairs.len() % 2 != 0 {
        return Err(arity("concept"));
    }
    let mut codes = StringBuilder::new();
    for row in 0..rows(arguments) {
        let column = value_at(column, row).unwrap_or_default();
        let found = pairs.chunks_exact(2).find_map(|pair| {
            let [systems, values] = pair else { return None };
            let system = value_at(systems, row)?;
            let value = said(Some(system), values, row)?;
            translator.code(column, system, value)
        });
        codes.append_option(found);
    }
    Ok(Arc::new(codes.finish()))
}

fn original(arguments: &[ArrayRef]) -> DfResult<ArrayRef> {
    let texts = texts(arguments)?;
    if texts.is_empty() || texts.len() % 2 != 0 {
        return Err(arity("original"));
    }
    let mut originals = StringBuilder::new();
    for row in 0..rows(arguments) {
        let found = texts.chunks_exact(2).find_map(|pair| {
            let [systems, values] = pair else { return None };
            let system = value_at(systems, row);
            said(system, values, row).map(|value| match system {
                Some(system) => with_system(system, value),
                None => value.to_owned(),
            })
        });
        originals.append_option(found);
    }
    Ok(Arc::new(originals.finish()))
}

fn key_of(names: &NameKey, arguments: &[ArrayRef]) -> DfResult<ArrayRef> {
    let texts = texts(arguments)?;
    let mut name = String::new();
    let key = |row: usize| {
        name.clear();
        for values in &texts {
            let value = value_at(values, row)?;
            name.push_str(&value.len().to_string());
            name.push(':');
            name.push_str(value);
        }
        // 62 of the hash's bits: never negative, never zero.
        i64::try_from(names.hash(&name) & ((1 << 62) - 1)).ok().map(|key| key.max(1))
    };
    Ok(Arc::new((0..rows(arguments)).map(key).collect::<Int64Array>()))
}

fn date_of(arguments: &[ArrayRef]) -> DfResult<ArrayRef> {
    let [years, months, days] = arguments else { return Err(arity("date_of")) };
    let number = |array: &ArrayRef, row: usize| {
        let array = array.as_primitive::<Int64Type>();
        array.is_valid(row).then(|| array.value(row))
    };
    let date = |row: usize| {
        let year = i32::try_from(number(years, row)?).ok()?;
        let (month, day) = (number(months, row)?, number(days, row)?);
        let date = NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)?;
        Some(Date32Type::from_naive_date(date))
    };
    Ok(Arc::new((0..years.len()).map(date).collect::<Date32Array>()))
}

fn days_between(arguments: &[ArrayRef]) -> DfResult<ArrayRef> {
    let [from, to] = arguments else { return Err(arity("days_between")) };
    let pairs = from.as_primitive::<Date32Type>().iter().zip(to.as_primitive::<Date32Type>());
    let days = pairs.map(|(from, to)| Some(i64::from(to?) - i64::from(from?)));
    Ok(Arc::new(days.collect::<Int64Array>()))
}

fn completed_years(arguments: &[ArrayRef]) -> DfResult<ArrayRef> {
    let [birth, day] = arguments else { return Err(arity("completed_years")) };
    let pairs = birth.as_primitive::<Date32Type>().iter().zip(day.as_primitive::<Date32Type>());
    let years = pairs.map(|(birth, day)| {
        let (birth, day) = (Date32Type::to_naive_date_opt(birth?)?, Date32Type::to_naive_date_opt(day?)?);
        let before_birthday = (day.month(), day.day()) < (birth.month(), birth.day());
        let years = i64::from(day.year() - birth.year()) - i64::from(before_birthday);
        (years >= 0).then_some(years)
    });
    Ok(Arc::new(years.collect::<Int64Array>()))
}

fn arity(function: &str) -> DataFusionError {
    DataFusionError::Plan(format!("{function} has another number of arguments"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn dates(days: &[Option<&str>]) -> ArrayRef {
        let day = |text: &&str| Date32Type::from_naive_date(text.parse().unwrap());
        Arc::new(days.iter().map(|text| text.as_ref().map(day)).collect::<Date32Array>())
    }

    fn numbers(array: &ArrayRef) -> Vec<Option<i64>> {
        array.as_primitive::<Int64Type>().iter().collect()
    }

    fn strings(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn ages_grow_on_birthdays_and_those_of_leap_days_on_the_first_of_march() {
        let births = dates(&[Some("2000-02-29"), Some("2000-02-29"), Some("1990-05-10"), None]);
        let days = dates(&[Some("2021-02-28"), Some("2021-03-01"), Some("2020-05-10"), Some("2020-01-01")]);
        assert_eq!(numbers(&completed_years(&[births, days]).unwrap()), [Some(20), Some(21), Some(30), None]);
    }

    #[test]
    fn days_are_counted_in_either_direction() {
        let (from, to) = (
            dates(&[Some("2020-03-01"), Some("2020-01-02")]),
            dates(&[Some("2020-02-28"), Some("2021-01-02")]),
        );
        assert_eq!(numbers(&days_between(&[from, to]).unwrap()), [Some(-2), Some(366)]);
    }

    #[test]
    fn no_day_is_made_up() {
        let number = |n: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![n])) };
        assert!(date_of(&[number(2021), number(2), number(29)]).unwrap().is_null(0));
        assert!(date_of(&[number(2024), number(2), number(29)]).unwrap().is_valid(0));
    }

    #[test]
    fn the_original_is_the_first_pair_that_says_something() {
        let made = original(&[
            strings(&[Some("SNOMED"), Some("None"), None]),
            strings(&[Some("399068003"), Some("x"), None]),
            strings(&[Some("OMOP"), Some("OMOP"), Some("OMOP")]),
            strings(&[Some("1"), Some("2"), Some("0")]),
            strings(&[None, None, None]),
            strings(&[Some("C61"), Some("C61"), Some("C61")]),
        ])
        .unwrap();
        let made: Vec<_> = made.as_string::<i32>().iter().collect();
        assert_eq!(made, [Some("SNOMEDCT:399068003"), Some("OMOP:2"), Some("C61")]);
    }

    #[test]
    fn keys_tell_values_apart_wherever_they_are_cut() {
        let names = NameKey::new(&Secret::from_bytes([1; 32]));
        let key = |a: &str, b: &str| {
            numbers(&key_of(&names, &[strings(&[Some(a)]), strings(&[Some(b)])]).unwrap())[0]
        };
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_eq!(key("a", "b"), key("a", "b"));
        assert!(key("a", "b").unwrap() > 0);
        assert_eq!(numbers(&key_of(&names, &[strings(&[None])]).unwrap()), [None]);
    }
}
