//! An expression, ready to be answered for any record: names resolved, constants put in, functions known.

use std::collections::BTreeMap;

use super::boundary::Side;
use super::decimal::Decimal;
use super::temporal::Temporal;

/// The constants that expressions may name as `%name`.
pub(crate) type Constants = BTreeMap<String, Literal>;

/// An expression over one item, which it calls `$this`.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    /// A value that is the same for every record.
    Literal(Literal),
    /// `$this`.
    This,
    /// `%rowIndex`: the position of the row's item in what the view iterates over.
    RowIndex,
    /// `$this`, if it is a resource of this type: the `Patient` of `Patient.name`.
    Resource(String),
    /// `input.name`.
    Member(Box<Expr>, String),
    /// `input.name.ofType(type)`, found by the one name that JSON gives it.
    Choice(Box<Expr>, Choice),
    /// `input[index]`.
    Index(Box<Expr>, Box<Expr>),
    /// `input.function(...)`.
    Call(Box<Expr>, Function),
    /// `input is type`.
    Is(Box<Expr>, TypeName),
    /// `-input`.
    Negative(Box<Expr>),
    /// `a op b`.
    Binary(Operator, Box<Expr>, Box<Expr>),
}

/// `value.ofType(Quantity)`.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// `value`.
    pub(super) name: String,
    /// `valueQuantity`.
    pub(super) key: String,
    /// `Quantity`.
    pub(super) ty: TypeName,
}

/// A type of FHIR, as a type specifier names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeName(pub(super) String);

/// A value that stands in an expression or a constant.
#[derive(Debug, Clone)]
pub(crate) enum Literal {
    Text(String),
    Truth(bool),
    Integer(i64),
    Decimal(Decimal),
    Temporal(Temporal),
}

/// A function of the subset, with its arguments.
#[derive(Debug, Clone)]
pub(crate) enum Function {
    Where(Box<Expr>),
    Exists(Option<Box<Expr>>),
    Empty,
    Not,
    First,
    Last,
    Count,
    Join(Option<Box<Expr>>),
    OfType(TypeName),
    Extension(Box<Expr>),
    ResourceKey,
    ReferenceKey(Option<TypeName>),
    Boundary(Side),
    Replace(Box<Expr>, Box<Expr>),
}

/// Between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    Xor,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Union,
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// The types of FHIR R4 and R5 that a choice may have, as they stand in the names of its members.
const CHOICES: [&str; 55] = [
    "Address",
    "Age",
    "Annotation",
    "Attachment",
    "Availability",
    "Base64Binary",
    "Boolean",
    "Canonical",
    "Code",
    "CodeableConcept",
    "CodeableReference",
    "Coding",
    "ContactDetail",
    "ContactPoint",
    "Count",
    "DataRequirement",
    "Date",
    "DateTime",
    "Decimal",
    "Distance",
    "Dosage",
    "Duration",
    "Expression",
    "ExtendedContactDetail",
    "HumanName",
    "Id",
    "Identifier",
    "Instant",
    "Integer",
    "Integer64",
    "Markdown",
    "Meta",
    "MonetaryComponent",
    "Money",
    "Oid",
    "ParameterDefinition",
    "Period",
    "PositiveInt",
    "Quantity",
    "Range",
    "Ratio",
    "RatioRange",
    "Reference",
    "RelatedArtifact",
    "SampledData",
    "Signature",
    "String",
    "Time",
    "Timing",
    "TriggerDefinition",
    "UnsignedInt",
    "Uri",
    "Url",
    "UsageContext",
    "Uuid",
];

impl Choice {
    /// The name of its member in JSON: `valueQuantity`.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

impl TypeName {
    /// The type that a member's name ends with behind the name of a choice: `Quantity` of `valueQuantity`.
    pub(super) fn of_choice<'k>(name: &str, key: &'k str) -> Option<&'k str> {
        let suffix = key.strip_prefix(name)?;
        CHOICES.binary_search(&suffix).is_ok().then_some(suffix)
    }

    /// As it stands in the name of a choice's member: with a capital letter.
    pub(crate) fn capital(&self) -> String {
        let mut letters = self.0.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            .unwrap_or_default()
    }

    /// Whether the type with this capital name is meant.
    pub(super) fn is(&self, capital: &str) -> bool {
        let same = |(a, b): (char, char)| a == b;
        let (mut mine, mut other) = (self.0.chars(), capital.chars());
        let first = mine.next().map(|c| c.to_ascii_uppercase()) == other.next();
        first && self.0.len() == capital.len() && mine.zip(other).all(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_sorted_so_that_they_are_found() {
        assert!(CHOICES.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(TypeName::of_choice("value", "valueQuantity"), Some("Quantity"));
        assert_eq!(TypeName::of_choice("value", "valueSet"), None);
        assert!(TypeName("string".into()).is("String") && !TypeName("string".into()).is("Strong"));
    }
}
