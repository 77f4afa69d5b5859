//! What of a column of an operator's view is stored, and what may be asked of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use caim_ontology::{Bounds, Column, ColumnType, Grid, Models, Reference, Role};

use super::super::SCHEMA;
use super::super::view::{DefinitionError, Origin, View, ViewColumn};
use super::fault;
use crate::Secret;

/// Resources that are persons.
const PERSONS: [&str; 5] = ["Patient", "Person", "Practitioner", "RelatedPerson", "contained"];
/// What names or reaches them.
const OF_PERSONS: [&str; 5] = ["address", "contact", "name", "photo", "telecom"];
/// The parts of an address that may be stored.
const REGIONS: [&str; 2] = ["country", "state"];
/// Elements that name or reach somebody wherever they stand, and what people write or attach.
const ANYWHERE: [&str; 9] =
    ["attachment", "authorString", "div", "family", "given", "note", "photo", "presentedForm", "telecom"];

/// What of a column is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The values.
    Plain,
    /// The key of the resource, as the bundled tables have it: it names one thing of one patient.
    ResourceKey,
    /// The key of a resource that is referred to, as the bundled tables have it.
    ReferenceKey,
    /// The unique identifier of a thing, as the node's rules say that it is stored.
    Uid,
    /// A keyed hash of an identifier.
    Keyed,
}

impl Form {
    /// The form of a column whose values come from some places of a resource.
    ///
    /// # Errors
    /// When one of them names a person, or the column cannot hold what is stored.
    pub(super) fn of(
        resource: &str,
        column: &ViewColumn,
        origins: &BTreeSet<Origin>,
    ) -> Result<Self, DefinitionError> {
        let refused = |reason: &str| Err(fault(&column.place, reason));
        if column.is_list {
            return refused("a cell holds one value: give each its row with forEach, or join() them");
        }
        let mut form = match origins.iter().next() {
            Some(Origin::ResourceKey) if origins.len() == 1 => Self::ResourceKey,
            Some(Origin::ReferenceKey(_)) => Self::ReferenceKey,
            Some(Origin::ResourceKey | Origin::Element(_)) | None => Self::Plain,
        };
        for origin in origins {
            let Origin::Element(path) = origin else { continue };
            if let Some(what) = of_person(resource, path) {
                let reason = format!("{} is {what}, which is not stored", path.join("."));
                return refused(&reason);
            }
            if is_identifier(path) {
                form = Self::Keyed;
            } else if path.last().is_some_and(|last| last == "uid") && form == Self::Plain {
                form = Self::Uid;
            }
        }
        if form != Self::Plain && column.ty != ColumnType::Text {
            return refused("an identifier is stored as a text: give the column the type string");
        }
        Ok(form)
    }

    /// The column of the table.
    ///
    /// # Errors
    /// When its tags say a role that it cannot have.
    pub(super) fn column(
        self,
        of: &ViewColumn,
        view: &View,
        models: &Models,
    ) -> Result<Column, DefinitionError> {
        Ok(Column {
            name: of.name.clone(),
            stored: of.name.to_lowercase(),
            ty: of.ty,
            role: self.role(of, &view.name)?,
            comment: of.comment.clone(),
            vr: (self == Self::Uid).then(|| "UI".to_owned()),
            references: if self == Self::ResourceKey { bundled(&view.resource, models) } else { None },
            ..Column::default()
        })
    }

    /// By tag, else by type: what is neither coded, a date nor a truth value is kept and not asked.
    fn role(self, of: &ViewColumn, table: &str) -> Result<Role, DefinitionError> {
        let wrong = |tag: &str, reason: &str| Err(fault(&of.place, &format!("tag caim/{tag}: {reason}")));
        let dimension = |bounds| Role::Dimension {
            vocabulary: format!("fhir_{table}_{}", of.name.to_lowercase()),
            bounds,
        };
        let bounds = of.tags.get("bounds").map(|text| bounds(text));
        let wanted = of.tags.get("role").map(String::as_str);
        if self != Self::Plain {
            return match (bounds, wanted) {
                (Some(_), _) => wrong("bounds", "an identifier has none"),
                (None, Some("hidden")) => Ok(Role::Hidden),
                (None, Some(_)) => wrong("role", "an identifier is joined on and counted, or hidden"),
                (None, None) => Ok(Role::Identifier { one_patient: self == Self::ResourceKey }),
            };
        }
        match (bounds, of.ty, wanted) {
            (Some(None), ..) => wrong("bounds", "write `lowest..highest`, or `lowest..highest by step`"),
            (Some(Some(bounds)), ColumnType::Integer, None) => Ok(dimension(Some(bounds))),
            (Some(Some(bounds)), ColumnType::Float, None) => Ok(Role::Measure { bounds }),
            (Some(Some(_)), ..) => wrong("bounds", "a number has bounds, and no caim/role beside"),
            (None, _, Some("hidden")) => Ok(Role::Hidden),
            (None, ColumnType::Text | ColumnType::Boolean | ColumnType::Integer, Some("dimension")) => {
                Ok(dimension(None))
            }
            (None, _, Some("dimension")) => wrong("role", "a dimension is a text, an integer or a boolean"),
            (None, _, Some(_)) => wrong("role", "it is neither dimension nor hidden"),
            (None, ColumnType::Date, None) => Ok(Role::Date { grid: Grid::Month }),
            (None, ColumnType::Boolean, None) => Ok(dimension(None)),
            (None, ColumnType::Text, None) if ["code", "uri"].contains(&of.fhir_type.as_str()) => {
                Ok(dimension(None))
            }
            (None, ..) => Ok(Role::Hidden),
        }
    }
}

/// Keyed hashes of identifiers, blanks around them aside.
pub(crate) fn keyed(secret: &Secret, values: &ArrayRef) -> ArrayRef {
    let key = |value: &str| {
        let mac = secret.mac("caim.fhir-identifier.1", &[value.trim().as_bytes()]);
        hex::encode(mac.get(..16).unwrap_or_default())
    };
    let keyed: StringArray = values.as_string::<i32>().iter().map(|value| value.map(key)).collect();
    Arc::new(keyed)
}

/// What an element says of a person, if it must not be stored.
fn of_person(resource: &str, path: &[String]) -> Option<&'static str> {
    let part = |number: usize| path.get(number).map_or("", String::as_str);
    let (holder, first) = if part(0) == "contained" { (part(0), 1) } else { (resource, 0) };
    if PERSONS.contains(&holder) && OF_PERSONS.contains(&part(first)) {
        let is_region = part(first) == "address" && REGIONS.contains(&part(first + 1));
        return (!is_region).then_some("a name, an address or a way to reach somebody");
    }
    if path.iter().any(|part| ANYWHERE.contains(&part.as_str())) {
        return Some("a name, a way to reach somebody, a note, a narrative or an attachment");
    }
    // The display of a coding is a term; that of a reference is often the name of whom it is about.
    let coded = path.iter().rev().nth(1).is_some_and(|holder| holder.to_lowercase().ends_with("coding"));
    (path.last().is_some_and(|last| last == "display") && !coded).then_some("the name of what is referred to")
}

/// Whether an element names a thing of the hospital: the value of an identifier, or a reference as it is written.
fn is_identifier(path: &[String]) -> bool {
    let last = path.last().map_or("", String::as_str);
    let inside = path.iter().any(|part| part.to_lowercase().ends_with("identifier"));
    last == "reference" || last == "fullUrl" || (inside && last == "value")
}

/// The key of the bundled table whose rows are resources of this type.
fn bundled(resource: &str, models: &Models) -> Option<Reference> {
    let table = super::super::bundled::table_of(resource)?;
    models.table(SCHEMA, table).ok()?.column("id")?;
    Some(Reference { schema: SCHEMA.to_owned(), table: table.to_owned(), column: "id".to_owned() })
}

/// `0..100`, or `0..100 by 0.5`.
fn bounds(text: &str) -> Option<Bounds> {
    let (range, step) = text.split_once(" by ").unwrap_or((text, "1"));
    let (lo, hi) = range.split_once("..")?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let bounds = Bounds { lo: number(lo)?, hi: number(hi)?, grid: number(step)? };
    (bounds.lo < bounds.hi && bounds.grid > 0.0).then_some(bounds)
}
