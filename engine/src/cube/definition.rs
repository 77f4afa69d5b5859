//! A cube read from its file: options, then one grouped SELECT whose columns are groups and measures as they are.

use caim_sql::catalogue::Catalogue;
use caim_sql::lower::{Lowered, Settings, lower};
use caim_sql::plan::plan;
use caim_sql::text::{self, Query, Statement, statements};
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::{Cube, CubeColumn, CubeError, CubePart, MAX_DESCRIPTION, check_name};
use crate::hub::on_large_stack;

impl Cube {
    /// Reads the text of a file; `None` when it holds no statement.
    ///
    /// # Errors
    /// Says what is wrong with the file, and how to put it right.
    pub fn read(name: &str, text: &str, catalogue: &Catalogue) -> Result<Option<Self>, CubeError> {
        let wrong = |reason: String| CubeError { cube: name.chars().take(100).collect(), reason };
        check_name(name).map_err(wrong)?;
        let Some((query, settings)) = statement(text).map_err(wrong)? else { return Ok(None) };
        let lowered = on_large_stack(|| lower(&plan(&query, catalogue)?, catalogue, &settings));
        let lowered = lowered.map_err(|refusal| wrong(refusal.to_string()))?;
        let [query] = lowered.queries.as_slice() else {
            return Err(wrong("it is one grouped SELECT over tables of patients".into()));
        };
        let cube = Self {
            name: name.to_owned(),
            description: description(text),
            models: catalogue.models().version(),
            query: query.clone(),
            columns: columns(&lowered).map_err(wrong)?,
        };
        cube.check(catalogue.models()).map_err(wrong)?;
        Ok(Some(cube))
    }
}

/// The one query of a text, and the options that stand before it.
fn statement(text: &str) -> Result<Option<(Query, Settings)>, String> {
    let mut settings = Settings::default();
    let mut query = None;
    for statement in statements::all(text) {
        match text::read(&statement).map_err(|refusal| refusal.to_string())? {
            Statement::Set { key, value } if query.is_none() => {
                settings.set(&key, &value).map_err(|refusal| refusal.to_string())?;
            }
            Statement::Query(first) if query.is_none() => query = Some(first),
            Statement::Set { .. } | Statement::Query(_) | Statement::Explain { .. } => {
                return Err("it is SET caim.noise_sd or caim.max_rows_per_patient, then one SELECT".into());
            }
        }
    }
    Ok(query.map(|query| (query, settings)))
}

/// The first comment line.
fn description(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let words = first.strip_prefix("--").unwrap_or_default().trim();
    let end = words.char_indices().map(|(i, c)| i + c.len_utf8()).take_while(|end| *end <= MAX_DESCRIPTION);
    words.get(..end.last().unwrap_or(0)).unwrap_or_default().replace(char::is_control, " ")
}

/// Which part of the question each column is.
fn columns(lowered: &Lowered) -> Result<Vec<CubeColumn>, String> {
    let column = |(position, name): (usize, &String)| {
        let of = released(&lowered.remainder, position).and_then(|name| part(&name));
        let of = of.ok_or_else(|| {
            format!(
                "column {name} is no group and no measure as it is; HAVING, ORDER BY, LIMIT and arithmetic belong into \
                 statements over the cube"
            )
        })?;
        Ok(CubeColumn { name: name.clone(), of })
    };
    lowered.output.iter().enumerate().map(column).collect()
}

/// Name of the released column that a column of the remainder shows unchanged.
fn released(plan: &LogicalPlan, column: usize) -> Option<String> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let shown = unchanged(projection.expr.get(column)?)?;
            released(&projection.input, projection.input.schema().maybe_index_of_column(shown)?)
        }
        LogicalPlan::SubqueryAlias(alias) => released(&alias.input, column),
        LogicalPlan::TableScan(scan) if scan.table_name.schema().is_none() => {
            scan.projected_schema.fields().get(column).map(|field| field.name().clone())
        }
        _ => None,
    }
}

fn unchanged(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => unchanged(&alias.expr),
        Expr::Cast(cast) if cast.field.data_type().is_numeric() => unchanged(&cast.expr),
        _ => None,
    }
}

/// The part that a released column is: `d0`, `m1`.
fn part(released: &str) -> Option<CubePart> {
    let (kind, position) = released.split_at_checked(1)?;
    let position = position.parse().ok()?;
    match kind {
        "d" => Some(CubePart::Dim(position)),
        "m" => Some(CubePart::Measure(position)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use caim_ontology::Models;
    use caim_sql::catalogue::Catalogue;

    use super::super::{Cube, CubePart};

    fn read(text: &str) -> Result<Option<Cube>, String> {
        let models = Arc::new(Models::bundled().unwrap());
        let cube = Cube::read("c", text, &Catalogue::new(models, Vec::new()));
        cube.map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_a_comment_options_and_a_grouped_select() {
        let cube = read(
            "-- Patients by modality.\n-- More words.\nSET caim.noise_sd = 6;\nSELECT count(DISTINCT PatientID) AS N, \
             Modality AS Kind, count(*) AS series FROM dicom.series WHERE PatientSex = 'F' GROUP BY Modality;\n",
        );
        let cube = cube.unwrap().unwrap();
        assert_eq!(
            (cube.description.as_str(), cube.query.noise_sd_milli),
            ("Patients by modality.", Some(6000))
        );
        let names: Vec<&str> = cube.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["N", "Kind", "series"]);
        assert_eq!(cube.columns[1].of, CubePart::Dim(0));
    }

    #[test]
    fn what_is_no_cube_is_refused_with_the_reason() {
        let count = "count(DISTINCT PatientID) AS n";
        for (text, reason) in [
            ("SELECT Modality FROM dicom.series".to_owned(), "CAIM-P"),
            (format!("SELECT {count} FROM dicom.series"), "no GROUP BY"),
            ("SELECT Modality, count(*) AS n FROM dicom.series GROUP BY 1".to_owned(), "counts no patients"),
            ("SELECT Modality, count(DISTINCT PatientID) FROM dicom.series GROUP BY 1".to_owned(), "with AS"),
            (format!("SELECT Modality AS nodes, {count} FROM dicom.series GROUP BY 1"), "named nodes"),
            (format!("SELECT Modality AS n_lower, {count} FROM dicom.series GROUP BY 1"), "named n_lower"),
            (format!("SELECT {count} FROM dicom.series GROUP BY Modality"), "selected once"),
            (format!("SELECT Modality, {count} FROM dicom.series GROUP BY 1 ORDER BY 2"), "ORDER BY"),
            (
                "SELECT Modality, count(DISTINCT PatientID) + 1 AS n FROM dicom.series GROUP BY 1".to_owned(),
                "as it is",
            ),
            (format!("SELECT Modality, {count} FROM dicom.series GROUP BY 1; SELECT 1"), "then one SELECT"),
            ("SELECT 1 AS one".to_owned(), "one grouped SELECT"),
            ("SET caim.project = x; SELECT 1".to_owned(), "caim.project"),
        ] {
            let refused = read(&text).unwrap_err();
            assert!(refused.contains(reason) && refused.starts_with("cube c: "), "{text}: {refused}");
        }
    }

    #[test]
    fn a_file_without_a_statement_is_no_cube() {
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("-- switched off\n").unwrap(), None);
    }

    #[test]
    fn noise_is_no_part_of_a_definition_and_all_else_is() {
        let of = |text: &str| read(text).unwrap().unwrap().definition();
        let sql = "SELECT Modality AS kind, count(DISTINCT PatientID) AS n FROM dicom.series GROUP BY 1";
        assert_eq!(of(sql), of(&format!("-- Words.\nSET caim.noise_sd = 6; {sql}")));
        assert_ne!(of(sql), of(&sql.replace("kind", "sort")));
        assert_ne!(of(sql), of(&sql.replace("Modality", "PatientSex")));
        assert_ne!(of(sql), of(&format!("SET caim.max_rows_per_patient = 2; {sql}")));
    }
}
