//! Every reason to say no, with a stable code: the same text at every door.
//!
//! A [`Refusal`] depends on the question and on public facts alone, never on what any node holds. Each [`Code`] has
//! a page in `docs/refusals`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A refusal: no, because. As against an error, which means that we failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Which rule.
    pub code: Code,
    /// What in the question breaks it.
    pub reason: String,
    /// What to ask instead.
    pub rewrite: String,
}

impl Refusal {
    /// A refusal with the code's usual advice.
    #[must_use]
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), rewrite: code.rewrite().to_owned() }
    }

    /// The same with advice that fits this question better.
    #[must_use]
    pub fn with_rewrite(mut self, rewrite: impl Into<String>) -> Self {
        self.rewrite = rewrite.into();
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, reason, rewrite } = self;
        write!(f, "{code}: {reason}\nrule: {}\ninstead: {rewrite}\nsee: docs/refusals/{code}.md", code.rule())
    }
}

/// What family a code belongs to; decides the status and exit code at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `CAIM-P`: privacy. Permission denied, exit code 4.
    Privacy,
    /// `CAIM-S`: SQL that cannot be understood or is not offered. Invalid argument, exit code 1.
    Sql,
    /// `CAIM-O`: terms of the ontology. Invalid argument, exit code 1.
    Ontology,
    /// `CAIM-A`: who asks. Unauthenticated or permission denied, exit code 1.
    Access,
    /// `CAIM-N`: nodes and network. Unavailable, exit code 5.
    Network,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $name:literal, $rule:literal, $rewrite:literal;)*) => {
        /// The codes. An identifier never changes its meaning and is never used again.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $id)] $variant,)*
        }

        impl Code {
            /// All codes, in the order of their identifiers.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The stable identifier, for example `CAIM-P101`.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Code::$variant => $id,)* }
            }

            /// A short stable name, for example `no_aggregate`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The rule, in one sentence.
            #[must_use]
            pub fn rule(self) -> &'static str {
                match self { $(Code::$variant => $rule,)* }
            }

            /// What usually helps.
            #[must_use]
            pub fn rewrite(self) -> &'static str {
                match self { $(Code::$variant => $rewrite,)* }
            }
        }
    };
}

codes! {
    /// Rows of a protected table were asked for.
    NoAggregate = "CAIM-P101", "no_aggregate",
        "rows of patients never leave a node; only aggregates over enough patients do",
        "aggregate: SELECT ..., count(DISTINCT patient_id) FROM ... GROUP BY ...";
    /// An identifier was selected.
    IdentifierProjected = "CAIM-P102", "identifier_projected",
        "identifiers are counted and joined on, never shown",
        "count them: count(DISTINCT patient_id)";
    /// An identifier was compared with a value.
    IdentifierFilter = "CAIM-P103", "identifier_filter",
        "no condition may pick patients or records by identifier",
        "describe the cohort by what patients have in common: sex, diagnosis, modality, dates";
    /// An identifier was grouped by.
    IdentifierGrouped = "CAIM-P104", "identifier_grouped",
        "a group of one patient or record is a row",
        "group by a dimension and count: count(DISTINCT patient_id)";
    /// An identifier stands inside an expression.
    IdentifierInExpression = "CAIM-P105", "identifier_in_expression",
        "identifiers may not be computed with",
        "use the identifier only in count(DISTINCT ...) and in joins along declared keys";
    /// A limit below an aggregate.
    LimitBelowAggregate = "CAIM-P106", "limit_below_aggregate",
        "LIMIT and ORDER BY below an aggregate would pick single rows",
        "put ORDER BY and LIMIT after the aggregate: they then act on released values";
    /// A list of values was joined to protected tables.
    ValuesRelation = "CAIM-P107", "values_relation",
        "a VALUES list joined to patients picks them one by one",
        "use IN with values of a dimension";
    /// A function that is not offered on protected columns.
    FunctionNotAllowed = "CAIM-P108", "function_not_allowed",
        "functions run over data only where they cannot leak or fail on a patient's value",
        "use comparisons, IN, BETWEEN, IS NULL, and EXTRACT of year, quarter or month of a date";
    /// An aggregate that is not offered.
    AggregateNotAllowed = "CAIM-P109", "aggregate_not_allowed",
        "this aggregate shows values of single patients or has no public bound",
        "use count, count(DISTINCT ...), sum, avg, stddev, var or percentile_cont; instead of min and max ask percentiles";
    /// An expression that does not lower.
    ExpressionNotAllowed = "CAIM-P110", "expression_not_allowed",
        "a condition or group must be a comparison of one column with public values",
        "write column = value, column IN (...), column BETWEEN a AND b, column IS NULL, joined by AND, OR, NOT";
    /// A hidden column, or one of another role.
    ColumnNotAllowed = "CAIM-P111", "column_not_allowed",
        "every column can be used only as its role in the data model allows",
        "SELECT column_name, role FROM catalog.\"column\" shows what each column is for";
    /// Arithmetic inside an aggregate.
    ExpressionInAggregate = "CAIM-P112", "expression_in_aggregate",
        "an aggregate takes one column with public bounds, no expression",
        "aggregate the column and do the arithmetic on the result: sum(a) / count(*)";
    /// A scalar subquery below an aggregate.
    ScalarSubquery = "CAIM-P113", "scalar_subquery",
        "a scalar subquery over patients may not steer what is counted",
        "ask the inner aggregate first and write its answer as a value";
    /// A window function over rows.
    Window = "CAIM-P114", "window",
        "window functions run over released values, not over rows of patients",
        "aggregate first: SELECT ..., rank() OVER (ORDER BY n) FROM (SELECT ..., count(*) AS n ... GROUP BY ...)";
    /// A set operation over rows.
    SetOperation = "CAIM-P115", "set_operation",
        "UNION, INTERSECT and EXCEPT work on released aggregates, not on patients",
        "use AND, OR, EXISTS and NOT EXISTS in the cohort";
    /// A join that the data model does not declare.
    JoinNotInGraph = "CAIM-P116", "join_not_in_graph",
        "tables are joined only along declared keys, within one patient or to a public table",
        "join on patient_id, or on a foreign key that information_schema.referential_constraints lists";
    /// A value off the public grid.
    Grid = "CAIM-P117", "grid",
        "numbers and dates are compared only with points of their public grid",
        "round the value to the grid that catalog.\"column\" shows";
    /// random(), now() and the like.
    VolatileFunction = "CAIM-P118", "volatile_function",
        "a question must have one answer: no clock, no chance, no environment",
        "write the date or value itself";
    /// Too large.
    TooComplex = "CAIM-P119", "too_complex",
        "questions are bounded: 64 KiB of text, depth 64, 32 conditions, 4 dimensions, 16 measures",
        "ask in several smaller questions";
    /// A table that holds no patients, or is hidden.
    TableNotAllowed = "CAIM-P120", "table_not_allowed",
        "only tables of patients can be asked; public tables can be joined to them",
        "SELECT table_schema, table_name FROM information_schema.tables shows what can be asked";
    /// The noise multiplier is out of range.
    NoiseOutOfRange = "CAIM-P121", "noise_out_of_range",
        "caim.noise_sd lies between 2 and 20",
        "SET caim.noise_sd = 4";
    /// The budget does not cover the question.
    BudgetExceeded = "CAIM-P201", "budget_exceeded",
        "what a project may learn from a node in a window is bounded",
        "SET caim.noise_sd = 20 costs 25 times less than 4; repeated questions are free";
    /// A value of the closed form that is not well formed.
    Malformed = "CAIM-P202", "malformed",
        "a node answers only well-formed questions of a version it knows",
        "bring hub and node to the same version";
    /// A term that no concept is known by.
    UnknownConcept = "CAIM-O001", "unknown_concept",
        "a term must be known: an unknown one is never left out or matched by text",
        "search it: SELECT concept_code, label FROM catalog.concept WHERE label ILIKE '%...%'";
    /// A term that several concepts of the column are known by.
    AmbiguousConcept = "CAIM-O002", "ambiguous_concept",
        "a term must mean one concept",
        "name one of the candidates by its own code";
    /// A function of concepts over a column without them.
    NotCoded = "CAIM-O003", "not_coded",
        "is_a, label and roll_up take a column of concepts",
        "use a coded column of the common data model, for example cancer_condition_code";
    /// A concept that no code of the column lies beneath.
    OutsideVocabulary = "CAIM-O004", "outside_vocabulary",
        "a column is compared with concepts that it can hold: with others the answer would always be nobody",
        "use the concept of the column's own branch that means the same, or another column";
    /// The node's ontology takes a concept to cover other codes than the asker's.
    OntologyVersion = "CAIM-O005", "ontology_version",
        "a node answers for a concept only where its ontology covers the same codes as the asker's",
        "bring hub and node to the same version of the ontology, or name a narrower concept that has not changed";
    /// No valid SQL.
    Syntax = "CAIM-S001", "syntax",
        "the statement must be SQL",
        "check the statement near the position named";
    /// Not a query.
    Statement = "CAIM-S002", "statement",
        "only SELECT is answered: nothing can be written, changed, explained with statistics or set, but caim.* options",
        "write a SELECT";
    /// A name that does not exist.
    UnknownName = "CAIM-S003", "unknown_name",
        "every name must be known",
        "SELECT * FROM information_schema.columns lists tables and columns";
    /// Types that do not fit, wrong arguments.
    Invalid = "CAIM-S004", "invalid",
        "the statement must make sense in SQL",
        "check types and arguments";
    /// SQL that is not offered.
    Unsupported = "CAIM-S005", "unsupported",
        "this part of SQL is not offered",
        "rewrite the statement without it";
    /// An option that does not exist or a value it cannot have.
    Setting = "CAIM-S006", "setting",
        "SET knows caim.project, caim.purpose, caim.noise_sd and caim.max_rows_per_patient",
        "SET caim.noise_sd = 4";
    /// No or wrong credentials.
    Unauthenticated = "CAIM-A001", "unauthenticated",
        "a question needs an asker",
        "connect with user and password, or a bearer token";
    /// The project is not the asker's.
    Project = "CAIM-A002", "project",
        "a question is asked for a project that the asker belongs to",
        "SET caim.project = '...' to one of your projects";
    /// No node is there to ask.
    NoNodes = "CAIM-N001", "no_nodes",
        "an answer needs at least one node that answers",
        "SELECT * FROM catalog.node shows which nodes are linked; try again later";
    /// A node did not answer.
    NodeFailed = "CAIM-N002", "node_failed",
        "a node that fails is named in the answer's completeness",
        "try again; the node's operator finds the cause in its log";
}

impl Code {
    /// The family that the identifier's letter names.
    #[must_use]
    pub fn family(self) -> Family {
        match self.id().as_bytes().get(5) {
            Some(b'P') => Family::Privacy,
            Some(b'O') => Family::Ontology,
            Some(b'A') => Family::Access,
            Some(b'N') => Family::Network,
            _ => Family::Sql,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Family};

    #[test]
    fn identifiers_and_names_are_unique() {
        let mut ids: Vec<_> = Code::ALL.iter().map(|c| c.id()).collect();
        let mut names: Vec<_> = Code::ALL.iter().map(|c| c.name()).collect();
        ids.dedup();
        names.sort_unstable();
        names.dedup();
        assert_eq!((ids.len(), names.len()), (Code::ALL.len(), Code::ALL.len()));
    }

    #[test]
    fn the_letter_names_the_family() {
        assert_eq!(Code::Grid.family(), Family::Privacy);
        assert_eq!(Code::NotCoded.family(), Family::Ontology);
        assert_eq!(Code::Syntax.family(), Family::Sql);
        assert_eq!(Code::NoNodes.family(), Family::Network);
    }
}
