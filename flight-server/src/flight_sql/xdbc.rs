//! The types that answers have, as JDBC and ODBC drivers ask for them (`CommandGetXdbcTypeInfo`).

use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

/// All types, sorted as Flight SQL wants it.
pub(super) fn all() -> Result<XdbcTypeInfoData, FlightError> {
    let mut builder = XdbcTypeInfoDataBuilder::new();
    for ty in [varchar(), bigint(), double(), boolean(), date(), timestamp()] {
        builder.append(ty);
    }
    builder.build()
}

fn named(name: &str, ty: XdbcDataType, column_size: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type: ty,
        column_size: Some(column_size),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.to_owned()),
        sql_data_type: ty,
        ..XdbcTypeInfo::default()
    }
}

fn quoted(prefix: &str, ty: XdbcTypeInfo) -> XdbcTypeInfo {
    XdbcTypeInfo { literal_prefix: Some(format!("{prefix}'")), literal_suffix: Some("'".to_owned()), ..ty }
}

fn number(ty: XdbcTypeInfo, radix: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        num_prec_radix: Some(radix),
        ..ty
    }
}

fn varchar() -> XdbcTypeInfo {
    let ty = named("VARCHAR", XdbcDataType::XdbcVarchar, i32::MAX);
    XdbcTypeInfo { case_sensitive: true, ..quoted("", ty) }
}

fn bigint() -> XdbcTypeInfo {
    let ty = named("BIGINT", XdbcDataType::XdbcBigint, 19);
    XdbcTypeInfo { minimum_scale: Some(0), maximum_scale: Some(0), ..number(ty, 10) }
}

fn double() -> XdbcTypeInfo {
    number(named("DOUBLE", XdbcDataType::XdbcDouble, 53), 2)
}

fn boolean() -> XdbcTypeInfo {
    named("BOOLEAN", XdbcDataType::XdbcBit, 1)
}

fn date() -> XdbcTypeInfo {
    XdbcTypeInfo {
        sql_data_type: XdbcDataType::XdbcDatetime,
        // Date and year share the number 1 in the specification, and this binding knows it by the latter name.
        datetime_subcode: Some(XdbcDatetimeSubcode::XdbcSubcodeYear),
        ..quoted("DATE ", named("DATE", XdbcDataType::XdbcDate, 10))
    }
}

fn timestamp() -> XdbcTypeInfo {
    XdbcTypeInfo {
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: Some(XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
        minimum_scale: Some(0),
        maximum_scale: Some(6),
        ..quoted("TIMESTAMP ", named("TIMESTAMP", XdbcDataType::XdbcTimestamp, 26))
    }
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn every_type_of_an_answer_is_known_and_can_be_asked_for_alone() {
        let types = all().unwrap();
        assert_eq!(types.record_batch(None).unwrap().num_rows(), 6);
        assert_eq!(types.record_batch(Some(12)).unwrap().num_rows(), 1, "12 is VARCHAR");
        assert_eq!(types.record_batch(Some(99)).unwrap().num_rows(), 0);
    }
}
