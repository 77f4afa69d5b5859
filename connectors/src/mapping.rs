//! Which column of a source fills which column of the data model: by name in any case, or by another name that
//! the model lists. A column that nothing needs is named and left out.

use caim_ontology::{Column, Table};

use crate::{Code, Error, Result};

/// The columns of a source, as far as a table of the model has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// For every column of the table, its position in the source's header.
    pub(crate) positions: Vec<Option<usize>>,
    /// Columns of the source that fill nothing, as the header spells them.
    pub(crate) left_out: Vec<String>,
}

impl Mapping {
    /// Matches a header to a table. A column for which `fixed` has an answer is filled from the position given
    /// there, or from nowhere.
    pub(crate) fn new(
        table: &Table,
        header: &[String],
        fixed: impl Fn(&str) -> Option<Option<usize>>,
    ) -> Self {
        let by_name = |column: &Column| {
            position(header, &column.stored)
                .or_else(|| column.also.iter().find_map(|also| position(header, also)))
        };
        let positions: Vec<Option<usize>> = table
            .columns
            .iter()
            .map(|column| fixed(&column.stored).unwrap_or_else(|| by_name(column)))
            .collect();
        let unused =
            header.iter().enumerate().filter(|(i, name)| !positions.contains(&Some(*i)) && !name.is_empty());
        let left_out = unused.map(|(_, name)| name.clone()).collect();
        Self { positions, left_out }
    }

    /// That these columns of the table are filled. The header is not shown: a file without one would show a row.
    ///
    /// # Errors
    /// Names the first column that is not there.
    pub(crate) fn require(&self, table: &Table, columns: &[&str], file: &str) -> Result<()> {
        for (column, position) in table.columns.iter().zip(&self.positions) {
            if position.is_none() && columns.contains(&column.stored.as_str()) {
                let reason =
                    format!("table {} needs the column {}, which its header lacks", table.name, column.name);
                return Err(Error::new(Code::MissingColumn, file, reason));
            }
        }
        Ok(())
    }
}

/// Where a header has a column, found in any case.
pub(crate) fn position(header: &[String], name: &str) -> Option<usize> {
    let wanted = name.trim().to_lowercase();
    header.iter().position(|column| column.trim().to_lowercase() == wanted)
}

#[cfg(test)]
mod tests {
    use caim_ontology::Models;

    use super::*;

    fn names(header: &[&str]) -> Vec<String> {
        header.iter().map(|name| (*name).to_owned()).collect()
    }

    fn filled<'t>(table: &'t Table, mapping: &Mapping) -> Vec<(&'t str, usize)> {
        let filled = table.columns.iter().zip(&mapping.positions);
        filled.filter_map(|(column, position)| Some((column.stored.as_str(), (*position)?))).collect()
    }

    #[test]
    fn columns_match_in_any_case_and_by_other_names_and_the_rest_is_left_out() {
        let models = Models::bundled().unwrap();
        let table = models.table("dicom", "series").unwrap();
        let header = names(&["MODALITY", "NumberOfSeriesRelatedInstances", "aws_bucket", "", "modality"]);
        let mapping = Mapping::new(table, &header, |_| None);
        assert_eq!(filled(table, &mapping), [("modality", 0), ("instancecount", 1)]);
        assert_eq!(mapping.left_out, ["aws_bucket", "modality"]);
    }

    #[test]
    fn the_columns_own_name_wins_over_another_name() {
        let models = Models::bundled().unwrap();
        let table = models.table("dicom", "series").unwrap();
        let mapping =
            Mapping::new(table, &names(&["NumberOfSeriesRelatedInstances", "instanceCount"]), |_| None);
        assert_eq!(filled(table, &mapping), [("instancecount", 1)]);
    }

    #[test]
    fn a_missing_column_is_named() {
        let models = Models::bundled().unwrap();
        let table = models.table("dicom", "series").unwrap();
        let mapping = Mapping::new(table, &names(&["patient 1"]), |_| None);
        let error = mapping.require(table, &["seriesinstanceuid"], "a.csv").unwrap_err();
        assert_eq!(error.code(), Code::MissingColumn);
        assert!(error.to_string().contains("SeriesInstanceUID") && !error.to_string().contains("patient 1"));
    }
}
