//! The levels of the DICOM information model (PS3.3 section A.1.2): series from instances, studies from series.
//!
//! A column of a series is taken from the column of that name in its instances, and one of a study from its series.
//! Where they disagree, the one with the smallest UID that has a value decides: a row does not depend on the order
//! of sources. A series that a table lists is taken from there, not from instances.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use caim_ontology::Table;
use caim_warehouse::{Commit, TableName, layout};
use datafusion::common::JoinType;
use datafusion::dataframe::DataFrame;
use datafusion::functions_aggregate::expr_fn::{count, count_distinct, min, sum};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::{Expr, ExprFunctionExt, lit, when};
use datafusion::prelude::ident;

use super::session::fault;
use super::table::{shaped, store};
use super::{Builder, LANDING, Session};
use crate::report::{BuildReport, Warning};
use crate::{Code, Result};

pub(crate) const SCHEMA: &str = "dicom";
pub(super) const INSTANCE: &str = "instance";
pub(crate) const SERIES: &str = "series";
pub(crate) const STUDY: &str = "study";
const ANNOTATION: &str = "annotation";
const ANNOTATED: &str = "annotated";
const REFERENCED: &str = "referencedseriesinstanceuid";
const SERIES_UID: &str = "seriesinstanceuid";
const STUDY_UID: &str = "studyinstanceuid";
const INSTANCE_UID: &str = "sopinstanceuid";
const INSTANCES: &str = "instancecount";
const RELATED_SERIES: &str = "numberofstudyrelatedseries";
const RELATED_INSTANCES: &str = "numberofstudyrelatedinstances";

/// Makes `dicom.series` and `dicom.study`.
pub(super) async fn derive(
    builder: Builder<'_>,
    session: &mut Session,
    commit: &mut Commit,
    report: &mut BuildReport,
) -> Result<()> {
    let name = |table: &str| TableName::new(SCHEMA, table);
    let (instance, series, study) =
        (builder.table(SCHEMA, INSTANCE)?, builder.table(SCHEMA, SERIES)?, builder.table(SCHEMA, STUDY)?);
    let listed = session.all(&TableName::new(LANDING, SERIES)).await?;
    let seen = Level { from: instance, to: series, key: SERIES_UID, order: INSTANCE_UID }
        .roll_up(session.all(&name(INSTANCE)).await?, vec![(INSTANCES, count(ident(INSTANCE_UID)))])?;
    let unlisted = without(shaped(series, seen)?, listed.clone())?;
    let all = shaped(series, listed)?.union(unlisted).map_err(fault)?;
    let all = marked(all, session.all(&name(ANNOTATION)).await?)?;
    store(builder, session, commit, &name(SERIES), all, report).await?;

    let instances = sum(ident(INSTANCES));
    let unknown = count(ident(SERIES_UID)).not_eq(count(ident(INSTANCES)));
    let instances = when(unknown, lit(datafusion::scalar::ScalarValue::Int64(None)))
        .otherwise(instances)
        .map_err(fault)?;
    let counts = vec![(RELATED_SERIES, count(ident(SERIES_UID))), (RELATED_INSTANCES, instances)];
    let studies = Level { from: series, to: study, key: STUDY_UID, order: SERIES_UID }
        .roll_up(session.all(&name(SERIES)).await?, counts)?;
    store(builder, session, commit, &name(STUDY), studies, report).await?;
    warn_of_shared(session, &name(STUDY), report).await
}

/// Says how often a study occurs under a further patient.
async fn warn_of_shared(session: &Session, study: &TableName, report: &mut BuildReport) -> Result<()> {
    let further = count(ident(STUDY_UID)) - count_distinct(ident(STUDY_UID));
    let rows = session.all(study).await?.filter(ident(layout::PATIENT).is_not_null());
    let rows = rows.and_then(|rows| rows.aggregate(Vec::new(), vec![further])).map_err(fault)?;
    let counted = rows.collect().await.map_err(fault)?;
    let count = counted.first().map_or(0, |row| row.column(0).as_primitive::<Int64Type>().value(0));
    if let Some(count) = u64::try_from(count).ok().filter(|count| *count > 0) {
        let (table, lines) = (study.to_string(), Vec::new());
        report.warnings.push(Warning { code: Code::SharedStudy, table, column: None, count, lines });
    }
    Ok(())
}

/// One step up.
struct Level<'m> {
    from: &'m Table,
    to: &'m Table,
    /// The UID of the upper level.
    key: &'static str,
    /// The UID of the lower level.
    order: &'static str,
}

impl Level<'_> {
    /// One row a patient and UID of the upper level. Rows without that UID are in none.
    fn roll_up(&self, rows: DataFrame, counts: Vec<(&str, Expr)>) -> Result<DataFrame> {
        let first = |name: &str| {
            // One chain: a filter that is added to a finished call would drop its order.
            first_value_udaf()
                .call(vec![ident(name)])
                .order_by(vec![ident(self.order).sort(true, false)])
                .filter(ident(name).is_not_null())
                .build()
                .map(|value| value.alias(name))
                .map_err(fault)
        };
        let shared = self.to.stored_columns().map(|column| column.stored.as_str()).filter(|name| {
            *name != self.key
                && !counts.iter().any(|(count, _)| count == name)
                && self.from.column(name).is_some()
        });
        let mut values = shared.map(first).collect::<Result<Vec<Expr>>>()?;
        values.extend(counts.iter().map(|(name, value)| value.clone().alias(*name)));
        values.push(min(ident(layout::ROW)).alias(layout::ROW));
        rows.filter(ident(self.key).is_not_null())
            .and_then(|rows| rows.aggregate(vec![ident(layout::PATIENT), ident(self.key)], values))
            .map_err(fault)
    }
}

/// Series, with whether an annotation of the same patient refers to them.
fn marked(series: DataFrame, annotations: DataFrame) -> Result<DataFrame> {
    let (patient, uid) = ("annotated_patient", "annotated_uid");
    let refers = annotations
        .filter(ident(REFERENCED).is_not_null())
        .and_then(|rows| rows.select([ident(layout::PATIENT).alias(patient), ident(REFERENCED).alias(uid)]))
        .and_then(DataFrame::distinct)
        .map_err(fault)?;
    let names: Vec<String> = series.schema().fields().iter().map(|field| field.name().clone()).collect();
    let value = |name: &String| match name.as_str() {
        ANNOTATED => ident(uid).is_not_null().alias(ANNOTATED),
        name => ident(name),
    };
    let same_patient = same(ident(layout::PATIENT), ident(patient));
    series
        .join_on(refers, JoinType::Left, [same_patient, ident(SERIES_UID).eq(ident(uid))])
        .and_then(|rows| rows.select(names.iter().map(value).collect::<Vec<Expr>>()))
        .map_err(fault)
}

/// Whether two patients are the same, or both are none.
fn same(one: Expr, other: Expr) -> Expr {
    datafusion::logical_expr::binary_expr(one, datafusion::logical_expr::Operator::IsNotDistinctFrom, other)
}

/// The series of `seen` that the same patient does not have in `listed`.
fn without(seen: DataFrame, listed: DataFrame) -> Result<DataFrame> {
    let sides = |name: &str| {
        let side = |table: &str| Expr::Column(datafusion::common::Column::new(Some(table), name));
        (side("seen"), side("listed"))
    };
    let (seen_patient, listed_patient) = sides(layout::PATIENT);
    let (seen_uid, listed_uid) = sides(SERIES_UID);
    let patient = same(seen_patient, listed_patient);
    let listed = listed.alias("listed").map_err(fault)?;
    let seen = seen.alias("seen").map_err(fault)?;
    seen.join_on(listed, JoinType::LeftAnti, [patient, seen_uid.eq(listed_uid)]).map_err(fault)
}
