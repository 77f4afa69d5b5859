//! From the cells of a sheet to columns of one table of the common model.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, StringArray};
use arrow::compute::filter;
use caim_ontology::{Column, ColumnType, Models, Table};

use super::mapping::{Cell, Dates, Entry, TableMapping, concept, is_coded};
use super::{DATASET, PATIENT_ID, texts};
use crate::row_key::NameKey;
use crate::rows::Lines;
use crate::tally::Tally;
use crate::values::{self, Rules};
use crate::{Code, Error, Result};

/// Some rows of a file, as text.
pub(super) struct Sheet<'s> {
    pub(super) columns: &'s BTreeMap<String, ArrayRef>,
    pub(super) lines: &'s Lines,
    pub(super) collections: &'s ArrayRef,
    pub(super) mapping: &'s TableMapping,
    pub(super) names: &'s NameKey,
}

/// Columns of a table, and which rows of the sheet have one there.
type Made = (Vec<Option<ArrayRef>>, BooleanArray);

impl Sheet<'_> {
    /// The rows that an entry of the mapping makes: one for each row of the sheet in which any column that it reads has
    /// a value.
    pub(super) fn rows(&self, models: &Models, number: usize, tally: &mut Tally) -> Result<Made> {
        let Some(entry) = self.mapping.entries.get(number) else {
            return Ok((Vec::new(), BooleanArray::from(vec![false; 0])));
        };
        let table = entry.table(models)?;
        let keep = self.filled(entry);
        let mut arrays = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let array = self.column(models, table, (number, entry), column, tally)?;
            let kept = array.map(|array| filter(&array, &keep)).transpose();
            arrays.push(kept.map_err(|e| Error::new(Code::Model, &table.name, e))?);
        }
        Ok((arrays, keep))
    }

    fn filled(&self, entry: &Entry) -> BooleanArray {
        let read: Vec<&ArrayRef> =
            entry.columns.values().filter_map(|cell| self.columns.get(cell.column.as_ref()?)).collect();
        let filled = |row: usize| read.is_empty() || read.iter().any(|array| array.is_valid(row));
        (0..self.lines.len()).map(|row| Some(filled(row))).collect()
    }

    fn column(
        &self,
        models: &Models,
        table: &Table,
        (number, entry): (usize, &Entry),
        column: &Column,
        tally: &mut Tally,
    ) -> Result<Option<ArrayRef>> {
        let named = |stored: &str| {
            entry.columns.iter().find(|(name, _)| name.to_lowercase() == stored).map(|(_, c)| c)
        };
        if column.stored == DATASET {
            return Ok(Some(Arc::clone(self.collections)));
        }
        if column.stored == PATIENT_ID {
            return Ok(None);
        }
        if let Some(cell) = named(&column.stored) {
            return self.cell(models, column, cell, tally).map(Some);
        }
        // What the source said stays beside each code.
        if let Some(cell) = column.stored.strip_suffix("_original").and_then(named) {
            return Ok(Some(self.said(cell)));
        }
        let own_key =
            table.key.first().is_some_and(|key| *key == column.stored) && column.ty == ColumnType::Integer;
        Ok(own_key.then(|| self.keys(number)))
    }

    fn cell(&self, models: &Models, column: &Column, cell: &Cell, tally: &mut Tally) -> Result<ArrayRef> {
        if let Some(key) = &cell.key {
            let number = self.mapping.entries.iter().position(|entry| entry.name == *key).unwrap_or_default();
            return Ok(self.keys(number));
        }
        let said = self.said(cell);
        let source = cell.column.as_deref();
        if is_coded(column) {
            return Ok(self.coded(models, column, cell, texts(&said), tally));
        }
        let (meant, unknown) = self.meant(cell, texts(&said));
        self.warn(Code::UnmappedValue, source, &unknown, tally);
        let meant: ArrayRef = Arc::new(self.spelt(column.ty, &meant));
        let read = values::read(column, &meant, &Rules::omop());
        let read = read.map_err(|e| Error::new(Code::Model, &column.name, e))?;
        let unread: Vec<usize> =
            (0..meant.len()).filter(|row| meant.is_valid(*row) && read.array.is_null(*row)).collect();
        self.warn(Code::UnreadableValue, source, &unread, tally);
        Ok(read.array)
    }

    /// What the file says, or the one value for all rows.
    fn said(&self, cell: &Cell) -> ArrayRef {
        if let Some(value) = &cell.value {
            return Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, self.lines.len())));
        }
        let read = cell.column.as_ref().and_then(|column| self.columns.get(column));
        read.map_or_else(|| Arc::new(StringArray::new_null(self.lines.len())) as ArrayRef, Arc::clone)
    }

    /// What the values mean by the mapping, and the rows of those that it does not know.
    fn meant(&self, cell: &Cell, said: &StringArray) -> (StringArray, Vec<usize>) {
        let Some(values) = &cell.values else { return (said.clone(), Vec::new()) };
        let mut unknown = Vec::new();
        let meant = said.iter().enumerate().map(|(row, text)| {
            let found = text.and_then(|text| values.get(text.trim()));
            if text.is_some() && found.is_none() {
                unknown.push(row);
            }
            found.cloned()
        });
        (meant.collect(), unknown)
    }

    fn coded(
        &self,
        models: &Models,
        column: &Column,
        cell: &Cell,
        said: &StringArray,
        tally: &mut Tally,
    ) -> ArrayRef {
        let (meant, mut unknown) = self.meant(cell, said);
        let mut known: HashMap<&str, Option<String>> = HashMap::new();
        let codes: StringArray = meant
            .iter()
            .enumerate()
            .map(|(row, text)| {
                let text = text?;
                let code = known.entry(text).or_insert_with(|| concept(models, column, text)).clone();
                if code.is_none() {
                    unknown.push(row);
                }
                code
            })
            .collect();
        self.warn(Code::UnmappedValue, cell.column.as_deref(), &unknown, tally);
        Arc::new(codes)
    }

    /// Numbers and dates in the spelling in which values are read.
    fn spelt(&self, ty: ColumnType, values: &StringArray) -> StringArray {
        match ty {
            ColumnType::Integer | ColumnType::Float if self.mapping.decimal_comma => {
                values.iter().map(|text| text.map(|text| text.replace('.', "").replace(',', "."))).collect()
            }
            ColumnType::Date | ColumnType::Timestamp if self.mapping.dates != Dates::Iso => {
                values.iter().map(|text| text.map(|text| year_first(text, self.mapping.dates))).collect()
            }
            ColumnType::Text
            | ColumnType::Boolean
            | ColumnType::Integer
            | ColumnType::Float
            | ColumnType::Date
            | ColumnType::Timestamp => values.clone(),
        }
    }

    /// The keys of the rows that an entry makes.
    fn keys(&self, number: usize) -> ArrayRef {
        let Some(entry) = self.mapping.entries.get(number) else {
            return Arc::new(Int64Array::new_null(self.lines.len()));
        };
        let parts: Vec<Option<&ArrayRef>> =
            self.mapping.key_of(entry).iter().map(|column| self.columns.get(column)).collect();
        let value = |array: Option<&ArrayRef>, row: usize| {
            array.filter(|array| array.is_valid(row)).map(|array| texts(array).value(row).to_owned())
        };
        let key = |row: usize| {
            let values: Vec<Option<String>> = parts.iter().map(|part| value(*part, row)).collect();
            let collection = value(Some(self.collections), row);
            let name = serde_json::json!([entry.name, number, collection, values]).to_string();
            i64::try_from(self.names.hash(&name) & ((1 << 62) - 1)).ok().map(|key| key.max(1))
        };
        Arc::new((0..self.lines.len()).map(key).collect::<Int64Array>())
    }

    fn warn(&self, code: Code, column: Option<&str>, rows: &[usize], tally: &mut Tally) {
        let lines: Vec<u64> = rows.iter().take(10).map(|row| self.lines.line(*row)).collect();
        tally.warn(code, column, rows.len() as u64, &lines);
    }
}

/// A date with its year in front; a text that is none stays, and is not read as one.
fn year_first(text: &str, order: Dates) -> String {
    let (date, time) = text.trim().split_once([' ', 'T']).map_or((text.trim(), None), |(d, t)| (d, Some(t)));
    let parts: Vec<&str> = date.split(['-', '/', '.']).collect();
    let [first, second, year] = parts[..] else { return text.to_owned() };
    let (day, month) = if order == Dates::Month { (second, first) } else { (first, second) };
    // `1984-08-17` where the day should stand first is another date, or none.
    if year.len() != 4 {
        return text.to_owned() + "?";
    }
    let time = time.map(|time| format!(" {time}")).unwrap_or_default();
    format!("{year}-{month:0>2}-{day:0>2}{time}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_the_order_that_the_mapping_states_and_in_no_other() {
        assert_eq!(year_first("17/08/1984", Dates::Day), "1984-08-17");
        assert_eq!(year_first("8.7.1984 10:30", Dates::Month), "1984-08-07 10:30");
        for text in ["1984-08-17", "17.8.84", "unknown"] {
            let spelt = year_first(text, Dates::Day);
            let read = values::date(spelt.as_bytes(), &(1800..=2199));
            assert_eq!(read, values::Reading::Unreadable, "{text}");
        }
    }
}
