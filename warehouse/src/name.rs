//! The name of a table: schema and table in lower case, so that `dicom.Series` and `DICOM.SERIES` are one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `dicom.series`. Written as that text in manifests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableName {
    /// The model's schema, in lower case.
    pub schema: String,
    /// The table, in lower case.
    pub table: String,
}

impl TableName {
    /// The table `table` of the schema `schema`, in any case.
    #[must_use]
    pub fn new(schema: &str, table: &str) -> Self {
        Self { schema: schema.to_lowercase(), table: table.to_lowercase() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some((schema, table)) if !schema.is_empty() && !table.is_empty() && !table.contains('.') => {
                Ok(Self::new(schema, table))
            }
            _ => Err(format!("`{text}` is no table name: write schema.table")),
        }
    }
}

impl TryFrom<String> for TableName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_any_case_and_reads_back_as_it_is_shown() {
        let name = TableName::new("DICOM", "Series");
        assert_eq!(name.to_string(), "dicom.series");
        assert_eq!("Dicom.SERIES".parse(), Ok(name));
    }

    #[test]
    fn a_text_that_is_not_schema_and_table_is_no_name() {
        for text in ["", "series", ".series", "dicom.", "a.b.c"] {
            assert!(text.parse::<TableName>().is_err(), "{text}");
        }
    }
}
