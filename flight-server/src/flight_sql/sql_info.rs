//! What this server can do, for clients that ask (`CommandGetSqlInfo`): every key of the specification, each with
//! the type that it prescribes.

use std::collections::BTreeMap;

use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity, SqlSupportedGroupBy,
    SqlSupportedResultSetConcurrency, SqlSupportedResultSetType, SqlSupportedSubqueries,
    SqlSupportedTransaction, SqlSupportedUnions, SqlSupportsConvert, SqlTransactionIsolationLevel,
    SupportedSqlGrammar,
};

use super::statements::PREPARED;

/// Longest statement that is planned, in bytes.
const STATEMENT_BYTES: i64 = 64 << 10;

/// All keys.
pub(super) fn all() -> Result<SqlInfoData, FlightError> {
    let mut keys = SqlInfoDataBuilder::new();
    server(&mut keys);
    truths(&mut keys);
    words(&mut keys);
    lists(&mut keys);
    bitmasks(&mut keys);
    limits(&mut keys);
    keys.append(SqlInfo::SqlSupportsConvert, conversions());
    keys.build()
}

fn server(keys: &mut SqlInfoDataBuilder) {
    keys.append(SqlInfo::FlightSqlServerName, "caim");
    keys.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    keys.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
    keys.append(SqlInfo::FlightSqlServerSubstraitMinVersion, "");
    keys.append(SqlInfo::FlightSqlServerSubstraitMaxVersion, "");
    keys.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    keys.append(
        SqlInfo::FlightSqlServerStatementTimeout,
        i32::try_from(PREPARED.idle.as_millis()).unwrap_or(i32::MAX),
    );
    keys.append(SqlInfo::FlightSqlServerTransactionTimeout, 0_i32);
}

fn truths(keys: &mut SqlInfoDataBuilder) {
    for key in [
        SqlInfo::FlightSqlServerReadOnly,
        SqlInfo::FlightSqlServerSql,
        SqlInfo::SqlSupportsColumnAliasing,
        SqlInfo::SqlNullPlusNullIsNull,
        SqlInfo::SqlSupportsTableCorrelationNames,
        SqlInfo::SqlSupportsExpressionsInOrderBy,
        SqlInfo::SqlSupportsOrderByUnrelated,
        SqlInfo::SqlCatalogAtStart,
        SqlInfo::SqlCorrelatedSubqueriesSupported,
    ] {
        keys.append(key, true);
    }
    for key in [
        SqlInfo::FlightSqlServerSubstrait,
        SqlInfo::FlightSqlServerCancel,
        SqlInfo::FlightSqlServerBulkIngestion,
        SqlInfo::FlightSqlServerIngestTransactionsSupported,
        SqlInfo::SqlDdlCatalog,
        SqlInfo::SqlDdlSchema,
        SqlInfo::SqlDdlTable,
        // Rows of patients cannot be selected, only aggregated.
        SqlInfo::SqlAllTablesAreSelectable,
        SqlInfo::SqlSupportsDifferentTableCorrelationNames,
        SqlInfo::SqlSupportsLikeEscapeClause,
        SqlInfo::SqlSupportsNonNullableColumns,
        SqlInfo::SqlSupportsIntegrityEnhancementFacility,
        SqlInfo::SqlSelectForUpdateSupported,
        SqlInfo::SqlStoredProceduresSupported,
        SqlInfo::SqlMaxRowSizeIncludesBlobs,
        SqlInfo::SqlTransactionsSupported,
        SqlInfo::SqlDataDefinitionCausesTransactionCommit,
        SqlInfo::SqlDataDefinitionsInTransactionsIgnored,
        SqlInfo::SqlBatchUpdatesSupported,
        SqlInfo::SqlSavepointsSupported,
        SqlInfo::SqlNamedParametersSupported,
        SqlInfo::SqlLocatorsUpdateCopy,
        SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        keys.append(key, false);
    }
}

fn words(keys: &mut SqlInfoDataBuilder) {
    keys.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    keys.append(SqlInfo::SqlSearchStringEscape, "\\");
    keys.append(SqlInfo::SqlExtraNameCharacters, "");
    keys.append(SqlInfo::SqlSchemaTerm, "schema");
    keys.append(SqlInfo::SqlProcedureTerm, "procedure");
    keys.append(SqlInfo::SqlCatalogTerm, "catalog");
}

fn lists(keys: &mut SqlInfoDataBuilder) {
    keys.append(
        SqlInfo::SqlKeywords,
        ["EXCEPT", "FILTER", "INTERSECT", "LIMIT", "OFFSET", "OVER", "WITH"].as_slice(),
    );
    keys.append(SqlInfo::SqlNumericFunctions, [].as_slice());
    keys.append(SqlInfo::SqlStringFunctions, ["LOWER", "UPPER"].as_slice());
    keys.append(SqlInfo::SqlSystemFunctions, [].as_slice());
    keys.append(SqlInfo::SqlDatetimeFunctions, ["EXTRACT"].as_slice());
}

fn bitmasks(keys: &mut SqlInfoDataBuilder) {
    let any_case = SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32;
    let forward = bit(SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32);
    let read_only = bit(SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly as i32);
    let no_transaction = SqlTransactionIsolationLevel::SqlTransactionNone as i32;
    let subqueries = bit(SqlSupportedSubqueries::SqlSubqueriesInExists as i32)
        | bit(SqlSupportedSubqueries::SqlSubqueriesInIns as i32);
    let unions = bit(SqlSupportedUnions::SqlUnion as i32) | bit(SqlSupportedUnions::SqlUnionAll as i32);
    for (key, value) in [
        (SqlInfo::SqlIdentifierCase, any_case),
        (SqlInfo::SqlQuotedIdentifierCase, any_case),
        (SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32),
        (SqlInfo::SqlSupportedGroupBy, bit(SqlSupportedGroupBy::SqlGroupByUnrelated as i32)),
        (SqlInfo::SqlSupportedGrammar, bit(SupportedSqlGrammar::SqlMinimumGrammar as i32)),
        (SqlInfo::SqlAnsi92SupportedLevel, 0),
        (SqlInfo::SqlOuterJoinsSupportLevel, SqlOuterJoinsSupportLevel::SqlLimitedOuterJoins as i32),
        (SqlInfo::SqlSchemasSupportedActions, 0),
        (SqlInfo::SqlCatalogsSupportedActions, 0),
        (SqlInfo::SqlSupportedPositionedCommands, 0),
        (SqlInfo::SqlSupportedSubqueries, subqueries),
        (SqlInfo::SqlSupportedUnions, unions),
        (SqlInfo::SqlDefaultTransactionIsolation, no_transaction),
        (SqlInfo::SqlSupportedTransactionsIsolationLevels, bit(no_transaction)),
        (SqlInfo::SqlSupportedResultSetTypes, forward),
        (SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified, 0),
        (SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly, read_only),
        (SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive, 0),
        (SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive, 0),
    ] {
        keys.append(key, value);
    }
}

/// Limits; 0 stands for none, or none that is known.
fn limits(keys: &mut SqlInfoDataBuilder) {
    let prepared = i64::try_from(PREPARED.per_owner).unwrap_or(i64::MAX);
    for (key, value) in [
        (SqlInfo::SqlMaxBinaryLiteralLength, 0),
        (SqlInfo::SqlMaxCharLiteralLength, 0),
        (SqlInfo::SqlMaxColumnNameLength, 0),
        (SqlInfo::SqlMaxColumnsInGroupBy, 0),
        (SqlInfo::SqlMaxColumnsInIndex, 0),
        (SqlInfo::SqlMaxColumnsInOrderBy, 0),
        (SqlInfo::SqlMaxColumnsInSelect, 0),
        (SqlInfo::SqlMaxColumnsInTable, 0),
        (SqlInfo::SqlMaxConnections, 0),
        (SqlInfo::SqlMaxCursorNameLength, 0),
        (SqlInfo::SqlMaxIndexLength, 0),
        (SqlInfo::SqlDbSchemaNameLength, 0),
        (SqlInfo::SqlMaxProcedureNameLength, 0),
        (SqlInfo::SqlMaxCatalogNameLength, 0),
        (SqlInfo::SqlMaxRowSize, 0),
        (SqlInfo::SqlMaxStatementLength, STATEMENT_BYTES),
        (SqlInfo::SqlMaxStatements, prepared),
        (SqlInfo::SqlMaxTableNameLength, 0),
        (SqlInfo::SqlMaxTablesInSelect, 0),
        (SqlInfo::SqlMaxUsernameLength, 0),
    ] {
        keys.append(key, value);
    }
}

/// What CAST can make of the types that answers have.
fn conversions() -> BTreeMap<i32, Vec<i32>> {
    use SqlSupportsConvert::{
        SqlConvertBigint as Bigint, SqlConvertDate as Date, SqlConvertFloat as Float,
        SqlConvertTimestamp as Timestamp, SqlConvertVarchar as Varchar,
    };
    let numbers = |types: &[SqlSupportsConvert]| types.iter().map(|ty| *ty as i32).collect();
    [
        (Bigint, numbers(&[Bigint, Float, Varchar])),
        (Float, numbers(&[Bigint, Float, Varchar])),
        (Date, numbers(&[Date, Timestamp, Varchar])),
        (Timestamp, numbers(&[Date, Timestamp, Varchar])),
        (Varchar, numbers(&[Bigint, Float, Date, Timestamp, Varchar])),
    ]
    .into_iter()
    .map(|(from, to)| (from as i32, to))
    .collect()
}

fn bit(position: i32) -> i32 {
    1 << position
}

#[cfg(test)]
mod tests {
    use arrow_flight::sql::SqlInfo;
    use datafusion::arrow::array::{AsArray, UnionArray};
    use datafusion::arrow::datatypes::UInt32Type;

    use super::all;

    #[test]
    fn every_key_of_the_specification_is_answered_once() {
        let all = all().unwrap().record_batch([]).unwrap();
        let answered: Vec<u32> = all.column(0).as_primitive::<UInt32Type>().values().to_vec();
        let specified: Vec<u32> =
            (0..1_000).filter(|id| SqlInfo::try_from(i32::try_from(*id).unwrap()).is_ok()).collect();
        assert_eq!(answered, specified);
    }

    #[test]
    fn an_unknown_key_is_no_row() {
        assert_eq!(all().unwrap().record_batch([8, 99_999]).unwrap().num_rows(), 1);
    }

    #[test]
    fn values_have_the_type_that_clients_expect() {
        let all = all().unwrap();
        // Members of the union: 0 text, 1 boolean, 2 bigint, 3 int32, 4 list of text, 5 map.
        for (id, member) in
            [(0, 0), (3, 1), (504, 0), (8, 3), (557, 2), (508, 4), (517, 5), (503, 3), (538, 3)]
        {
            let batch = all.record_batch([id]).unwrap();
            let value = batch.column(1).as_any().downcast_ref::<UnionArray>().unwrap();
            assert_eq!(value.type_id(0), member, "key {id}");
        }
    }
}
