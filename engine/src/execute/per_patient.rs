//! Values per patient as a table: one row a patient, or one a record of a patient, from the rows of that patient alone.

use caim_sql::private_query::{ColumnRef, Order, PatientValue, PerPatient, ValueOf};
use caim_warehouse::layout::{PATIENT, ROW};
use datafusion::arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn::{avg, count, count_distinct, first_value, max, min, sum};
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit, when};

use super::plan::Scope;
use super::{ExecuteError, Execution, numbers};

impl Execution<'_> {
    /// The table of a position: the patient, a row key, the columns of `by`, and the values `n0`, `n1`, ...
    pub(super) fn per_patient(&self, position: usize) -> Result<LogicalPlan, ExecuteError> {
        let table = self.per_patient.get(position);
        let table = table.ok_or_else(|| ExecuteError::Model("no such values per patient".into()))?;
        let scope = self.named_scope(&table.from, format!("v{position}_t"), 0)?;
        let joined = self.joined(&table.from, &scope)?;
        let rows = self.filtered(joined, &table.cohort, &scope)?;
        let mut groups = vec![Expr::Column(scope.patient()?).alias(PATIENT)];
        for (i, by) in table.by.iter().enumerate() {
            groups.push(numbers::key(by, &scope)?.alias(PerPatient::key_name(i)));
        }
        // Drawn within the patient. Rows of one record or part of a patient are rows of no other.
        let key = scope.row_key(table.by.first().and_then(|by| by.columns().next()))?;
        let mut values = vec![min(Expr::Column(key)).alias(ROW)];
        for (i, value) in table.values.iter().enumerate() {
            values.push(self.value(value, table, &scope)?.alias(PerPatient::value_name(i)));
        }
        Ok(LogicalPlanBuilder::from(rows)
            .filter(Expr::Column(scope.patient()?).is_not_null())?
            .aggregate(groups, values)?
            .build()?)
    }

    fn value(
        &self,
        PatientValue { of, filter }: &PatientValue,
        table: &PerPatient,
        scope: &Scope<'_>,
    ) -> Result<Expr, ExecuteError> {
        let filter = if filter.is_always() { None } else { Some(self.condition(filter, scope)?) };
        let counted = |value: Expr| match &filter {
            None => Ok(value),
            Some(filter) => when(filter.clone(), value).end(),
        };
        let column = |of: &ColumnRef| Ok::<_, ExecuteError>(counted(numbers::known(of, scope)?)?);
        let number = |of| {
            let known = when(numbers::present(of, scope)?, numbers::value(of, scope)?).end()?;
            Ok::<_, ExecuteError>(counted(known)?)
        };
        Ok(match of {
            ValueOf::Rows => count(counted(lit(1))?),
            ValueOf::Any => {
                let met = filter.clone().unwrap_or_else(|| lit(true));
                max(when(met, lit(1i64)).otherwise(lit(0i64))?)
            }
            ValueOf::Distinct(of) => count_distinct(counted(Expr::Column(scope.column(of)?))?),
            ValueOf::Least(of) => min(column(of)?),
            ValueOf::Greatest(of) => max(column(of)?),
            ValueOf::Sum(of) => sum(number(of)?),
            ValueOf::Mean(of) => avg(cast(number(of)?, DataType::Float64)),
            ValueOf::First { column: of, order } => {
                let mut by: Vec<Sort> = Vec::with_capacity(order.len() + 2);
                if let Some(filter) = &filter {
                    by.push(filter.clone().is_true().sort(false, false));
                }
                for Order { column, descending, nulls_first } in order {
                    by.push(Expr::Column(scope.column(column)?).sort(!descending, *nulls_first));
                }
                for key in scope.row_keys(&table.from) {
                    by.push(Expr::Column(key).sort(true, false));
                }
                first_value(counted(Expr::Column(scope.column(of)?))?, by)
            }
        })
    }
}
