//! Rows of a view as they grow: one Arrow builder a column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, ListArray, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Field;
use caim_ontology::ColumnType;

use super::cell::{Cell, Doubt};
use super::rows::Receiver;
use super::{RowError, View, ViewColumn};
use crate::fhir::json::Value;

/// Rows of a view.
pub(crate) struct Sheet<'v> {
    view: &'v View,
    columns: Vec<Builder>,
    doubts: Vec<Doubts>,
    rows: usize,
}

/// How many values of a column were doubtful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Doubts {
    /// Values that the column's type cannot hold; they are null.
    pub(crate) unreadable: u64,
    /// Dates without a day; they are the first.
    pub(crate) partial: u64,
}

enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Truth(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    List { offsets: Vec<i32>, items: Box<Builder> },
}

impl<'v> Sheet<'v> {
    pub(crate) fn new(view: &'v View) -> Self {
        let columns = view.columns.iter().map(Builder::of_column).collect();
        Self { view, columns, doubts: vec![Doubts::default(); view.columns.len()], rows: 0 }
    }

    /// Adds the rows of a resource.
    ///
    /// # Errors
    /// When the resource does not fit the view. Some of its rows may be there: they are not to be used.
    pub(crate) fn add<'a>(&mut self, resource: Value<'a>, key: Option<&'a str>) -> Result<(), RowError>
    where
        'v: 'a,
    {
        let view: &'a View = self.view;
        view.walk(resource, key, self)
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// The columns, and what is doubtful about each.
    pub(crate) fn finish(self) -> (Vec<ArrayRef>, Vec<Doubts>) {
        (self.columns.into_iter().map(Builder::finish).collect(), self.doubts)
    }
}

impl<'a> Receiver<'a> for Sheet<'_> {
    fn row(&mut self, cells: &[Cell<'a>]) {
        self.columns.iter_mut().zip(cells).for_each(|(column, cell)| column.append(cell));
        self.rows += 1;
    }

    fn doubt(&mut self, column: usize, doubt: Doubt) {
        let Some(doubts) = self.doubts.get_mut(column) else { return };
        match doubt {
            Doubt::None => {}
            Doubt::Unreadable => doubts.unreadable += 1,
            Doubt::Partial => doubts.partial += 1,
        }
    }
}

impl Builder {
    fn of_column(column: &ViewColumn) -> Self {
        let items = Self::of_type(column.ty);
        if column.is_list { Self::List { offsets: vec![0], items: Box::new(items) } } else { items }
    }

    fn of_type(ty: ColumnType) -> Self {
        match ty {
            ColumnType::Text => Self::Text(StringBuilder::new()),
            ColumnType::Integer => Self::Integer(Int64Builder::new()),
            ColumnType::Float => Self::Float(Float64Builder::new()),
            ColumnType::Boolean => Self::Truth(BooleanBuilder::new()),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
        }
    }

    /// A cell of another type than the column's is null: cells are made for their columns, so there is none.
    fn append(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Self::Text(builder), Cell::Text(text)) => builder.append_value(text),
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Integer(builder), Cell::Integer(number)) => builder.append_value(*number),
            (Self::Integer(builder), _) => builder.append_null(),
            (Self::Float(builder), Cell::Float(number)) => builder.append_value(*number),
            (Self::Float(builder), _) => builder.append_null(),
            (Self::Truth(builder), Cell::Truth(truth)) => builder.append_value(*truth),
            (Self::Truth(builder), _) => builder.append_null(),
            (Self::Date(builder), Cell::Date(day)) => builder.append_value(*day),
            (Self::Date(builder), _) => builder.append_null(),
            (Self::Timestamp(builder), Cell::Timestamp(us)) => builder.append_value(*us),
            (Self::Timestamp(builder), _) => builder.append_null(),
            (Self::List { offsets, items }, cell) => {
                let cells: &[Cell<'_>] = if let Cell::List(cells) = cell { cells } else { &[] };
                cells.iter().for_each(|cell| items.append(cell));
                let length = i32::try_from(cells.len()).unwrap_or(i32::MAX);
                let end = offsets.last().copied().unwrap_or(0).saturating_add(length);
                offsets.push(end);
            }
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::Integer(mut builder) => Arc::new(builder.finish()),
            Self::Float(mut builder) => Arc::new(builder.finish()),
            Self::Truth(mut builder) => Arc::new(builder.finish()),
            Self::Date(mut builder) => Arc::new(builder.finish()),
            Self::Timestamp(mut builder) => Arc::new(builder.finish()),
            Self::List { offsets, items } => {
                let items = items.finish();
                let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
                Arc::new(ListArray::new(field, OffsetBuffer::new(ScalarBuffer::from(offsets)), items, None))
            }
        }
    }
}
