//! A question as SQL text in our own dialect: plain, for audit records and `caim check`.

use std::borrow::Cow;
use std::fmt::Write;

use caim_ontology::{Models, Role};
use datafusion_sql::sqlparser::keywords::ALL_KEYWORDS;

use crate::calendar::Day;
use crate::private_query::{
    Aggregate, Atom, Bins, BoolTree, ColumnRef, DateOf, DatePart, Days, Dim, Divisor, Edge, Endpoint, Exists,
    JoinKey, JoinTree, Labels, Link, Measure, Number, Order, PatientValue, PerPatient, PrivateQuery, Recode,
    Value, ValueOf,
};

/// The question as one SELECT statement.
#[must_use]
pub fn to_sql(query: &PrivateQuery, models: &Models) -> String {
    let over = query.over(models).unwrap_or(Cow::Borrowed(models));
    let models = over.as_ref();
    let scope = Scope { from: &query.from, models, prefix: "t".to_owned(), depth: 0, outer: None };
    let dims: Vec<String> = query.dims.iter().map(|dim| scope.dim(dim)).collect();
    let measures = query.measures.iter().map(|measure| scope.measure(measure));
    let list: Vec<String> = dims.iter().cloned().chain(measures).collect();
    let distinct = if query.measures.is_empty() { "DISTINCT " } else { "" };
    let tables = query.per_patient.iter().enumerate();
    let with: Vec<String> = tables.map(|(i, table)| per_patient(i, table, models)).collect();
    let with = if with.is_empty() { String::new() } else { format!("WITH {} ", with.join(", ")) };
    let mut sql = format!("{with}SELECT {distinct}{} FROM {}", list.join(", "), scope.tables());
    if !query.cohort.is_always() {
        let _ = write!(sql, " WHERE {}", scope.condition(&query.cohort));
    }
    if !dims.is_empty() && !query.measures.is_empty() {
        let _ = write!(sql, " GROUP BY {}", dims.join(", "));
    }
    sql
}

/// Values per patient as a common table.
fn per_patient(position: usize, table: &PerPatient, models: &Models) -> String {
    let scope = Scope { from: &table.from, models, prefix: "t".to_owned(), depth: 0, outer: None };
    let patient = scope.patient();
    let by: Vec<String> = table.by.iter().map(|by| scope.dim(by)).collect();
    let mut shown = vec![format!("{patient} AS patient_id")];
    shown.extend(by.iter().enumerate().map(|(i, sql)| format!("{sql} AS {}", PerPatient::key_name(i))));
    let values = table.values.iter().enumerate();
    shown.extend(values.map(|(i, value)| format!("{} AS {}", scope.value(value), PerPatient::value_name(i))));
    let groups = std::iter::once(patient).chain(by).collect::<Vec<_>>().join(", ");
    let mut sql = format!("v{position} AS (SELECT {} FROM {}", shown.join(", "), scope.tables());
    if !table.cohort.is_always() {
        let _ = write!(sql, " WHERE {}", scope.condition(&table.cohort));
    }
    let _ = write!(sql, " GROUP BY {groups})");
    sql
}

/// A join tree whose tables are called `t0`, `t1`, ..., or `e1_0`, ... inside `EXISTS`.
struct Scope<'a> {
    from: &'a JoinTree,
    models: &'a Models,
    prefix: String,
    depth: usize,
    /// The scope directly outside, inside `EXISTS`.
    outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    fn alias(&self, table: usize) -> String {
        format!("{}{table}", self.prefix)
    }

    fn column(&self, column: &ColumnRef) -> String {
        self.named(column.table, &column.column)
    }

    fn named(&self, table: usize, column: &str) -> String {
        format!("{}.{}", self.alias(table), quoted(column))
    }

    /// The column that names the patient in a table, if it has patients.
    fn patient_column(&self, table: usize) -> Option<String> {
        let name = self.from.tables.get(table)?;
        let table_of_model = self.models.table(&name.schema, &name.table).ok()?;
        let unit = table_of_model.columns.iter().find(|c| c.role == Role::UnitId)?;
        Some(self.named(table, &unit.stored))
    }

    /// The patient of a joined row.
    fn patient(&self) -> String {
        let found = (0..self.from.tables.len()).find_map(|i| self.patient_column(i));
        found.unwrap_or_else(|| self.named(0, "patient_id"))
    }

    fn tables(&self) -> String {
        let mut sql = String::new();
        for (i, table) in self.from.tables.iter().enumerate() {
            let name = match table.per_patient_position() {
                Some(_) => format!("{} AS {}", table.table, self.alias(i)),
                None => format!("{}.{} AS {}", quoted(&table.schema), quoted(&table.table), self.alias(i)),
            };
            let on: Vec<String> =
                self.from.edges.iter().filter(|e| e.right == i).map(|e| self.edge(e)).collect();
            let _ = match (i, on.is_empty()) {
                (0, _) => write!(sql, "{name}"),
                (_, true) => write!(sql, " CROSS JOIN {name}"),
                (_, false) => write!(sql, " JOIN {name} ON {}", on.join(" AND ")),
            };
        }
        sql
    }

    fn edge(&self, edge: &Edge) -> String {
        match &edge.on {
            JoinKey::Patient => {
                let patient =
                    |table| self.patient_column(table).unwrap_or_else(|| self.named(table, "patient_id"));
                format!("{} = {}", patient(edge.left), patient(edge.right))
            }
            JoinKey::Columns { left, right } => {
                format!("{} = {}", self.named(edge.left, left), self.named(edge.right, right))
            }
        }
    }

    fn dim(&self, dim: &Dim) -> String {
        match dim {
            Dim::Column(column) => self.column(column),
            Dim::DatePart { part, column } => {
                let part = match part {
                    DatePart::Year => "YEAR",
                    DatePart::Quarter => "QUARTER",
                    DatePart::Month => "MONTH",
                };
                format!("EXTRACT({part} FROM {})", self.column(column))
            }
            Dim::Bin { of, by: Bins::Width(width) } => {
                let width = value(width);
                format!("floor({} / {width}) * {width}", self.number(of))
            }
            Dim::Bin { of, by: Bins::Labels(labels) } => self.labels(&self.number(of), labels),
            Dim::Label(column) => format!("label({})", self.column(column)),
            Dim::RollUp { column, to } => {
                let to: Vec<String> = to.iter().map(|concept| text(&concept.code)).collect();
                format!("roll_up_to({}, {})", self.column(column), to.join(", "))
            }
            Dim::Recode { column, by } => recoded(&self.column(column), by),
        }
    }

    /// Bins with labels, from the lowest to the highest.
    fn labels(&self, number: &str, Labels { edges, labels, null }: &Labels) -> String {
        let name = |label: &Option<Value>| label.as_ref().map_or_else(|| "NULL".to_owned(), value);
        let below = |edge: &Endpoint| {
            format!("{number} <{} {}", if edge.inclusive { "" } else { "=" }, value(&edge.value))
        };
        let above = |edge: &Endpoint| {
            format!("{number} >{} {}", if edge.inclusive { "=" } else { "" }, value(&edge.value))
        };
        let conditions = edges.iter().map(below).chain(edges.last().map(above));
        let mut sql = "CASE".to_owned();
        for (condition, label) in conditions.zip(labels) {
            let _ = write!(sql, " WHEN {condition} THEN {}", name(label));
        }
        if null.is_some() {
            let _ = write!(sql, " ELSE {}", name(null));
        }
        sql + " END"
    }

    fn number(&self, number: &Number) -> String {
        match number {
            Number::Column(column) => self.column(column),
            Number::Days(Days { from, to }) => days(&self.column(from), &self.column(to)),
        }
    }

    fn date(&self, date: &DateOf) -> String {
        match (date, self.outer) {
            (DateOf::Outer(column), Some(outer)) => outer.column(column),
            (DateOf::Own(column) | DateOf::Outer(column), _) => self.column(column),
        }
    }

    fn measure(&self, measure: &Measure) -> String {
        let of = match &measure.of {
            Aggregate::Patients => format!("count(DISTINCT {})", self.patient()),
            Aggregate::Rows => "count(*)".to_owned(),
            Aggregate::Distinct(column) => format!("count(DISTINCT {})", self.column(column)),
            Aggregate::Sum(number) => format!("sum({})", self.number(number)),
            Aggregate::Avg(number) => format!("avg({})", self.number(number)),
            Aggregate::Variance { of, over: Divisor::Population } => format!("var_pop({})", self.number(of)),
            Aggregate::Variance { of, over: Divisor::Sample } => format!("var_samp({})", self.number(of)),
            Aggregate::Quantile { of, share } => {
                format!("percentile_cont({}, {:?})", self.number(of), share.get())
            }
        };
        if measure.filter.is_always() {
            return of;
        }
        format!("{of} FILTER (WHERE {})", self.condition(&measure.filter))
    }

    fn value(&self, PatientValue { of, filter }: &PatientValue) -> String {
        let of = match of {
            ValueOf::Rows => "count(*)".to_owned(),
            ValueOf::Any => {
                return format!("max(CASE WHEN {} THEN 1 ELSE 0 END)", self.condition(filter));
            }
            ValueOf::Distinct(column) => format!("count(DISTINCT {})", self.column(column)),
            ValueOf::Least(column) => format!("min({})", self.column(column)),
            ValueOf::Greatest(column) => format!("max({})", self.column(column)),
            ValueOf::Sum(number) => format!("sum({})", self.number(number)),
            ValueOf::Mean(number) => format!("avg({})", self.number(number)),
            ValueOf::First { column, order } => {
                let by: Vec<String> = order.iter().map(|by| self.order(by)).collect();
                format!("first_value({} ORDER BY {})", self.column(column), by.join(", "))
            }
        };
        if filter.is_always() { of } else { format!("{of} FILTER (WHERE {})", self.condition(filter)) }
    }

    fn order(&self, Order { column, descending, nulls_first }: &Order) -> String {
        let direction = if *descending { "DESC" } else { "ASC" };
        let nulls = if *nulls_first { "FIRST" } else { "LAST" };
        format!("{} {direction} NULLS {nulls}", self.column(column))
    }

    fn condition(&self, tree: &BoolTree) -> String {
        match tree {
            BoolTree::And(parts) if parts.is_empty() => "TRUE".to_owned(),
            BoolTree::Or(parts) if parts.is_empty() => "FALSE".to_owned(),
            BoolTree::And(parts) => self.joined(parts, " AND "),
            BoolTree::Or(parts) => self.joined(parts, " OR "),
            BoolTree::Is(atom) => self.atom(atom, ""),
            BoolTree::Not(inner) => match inner.as_ref() {
                BoolTree::Is(
                    atom @ (Atom::In { .. } | Atom::IsNull { .. } | Atom::IsA { .. } | Atom::Exists(_)),
                ) => self.atom(atom, "NOT "),
                other => format!("NOT ({})", self.condition(other)),
            },
        }
    }

    fn joined(&self, parts: &[BoolTree], word: &str) -> String {
        let one = |part: &BoolTree| match part {
            BoolTree::And(_) | BoolTree::Or(_) => format!("({})", self.condition(part)),
            BoolTree::Not(_) | BoolTree::Is(_) => self.condition(part),
        };
        parts.iter().map(one).collect::<Vec<_>>().join(word)
    }

    /// An atom; `not` is `NOT ` or empty and stands where SQL wants it.
    fn atom(&self, atom: &Atom, not: &str) -> String {
        match atom {
            Atom::In { column, values } => {
                let values: Vec<String> = values.iter().map(value).collect();
                format!("{} {not}IN ({})", self.column(column), values.join(", "))
            }
            Atom::IsNull { column } => format!("{} IS {not}NULL", self.column(column)),
            Atom::Range { column, lo, hi } => {
                let column = self.column(column);
                let end = |end: &Endpoint, sign: &str| {
                    format!("{column} {sign}{} {}", if end.inclusive { "=" } else { "" }, value(&end.value))
                };
                let ends = lo.iter().map(|e| end(e, ">")).chain(hi.iter().map(|e| end(e, "<")));
                format!("({})", ends.collect::<Vec<_>>().join(" AND "))
            }
            Atom::DateDiff { from, to, lo, hi } => {
                let days = days(&self.date(from), &self.date(to));
                let ends = lo.iter().map(|n| format!("{days} >= {n}"));
                let ends = ends.chain(hi.iter().map(|n| format!("{days} < {n}")));
                format!("({})", ends.collect::<Vec<_>>().join(" AND "))
            }
            Atom::IsA { column, concept } => {
                format!("{not}is_a({}, {})", self.column(column), text(&concept.code))
            }
            Atom::Exists(exists) => format!("{not}{}", self.exists(exists)),
        }
    }

    fn exists(&self, exists: &Exists) -> String {
        let depth = self.depth + 1;
        let inner = Scope {
            from: &exists.from,
            models: self.models,
            prefix: format!("e{depth}_"),
            depth,
            outer: Some(self),
        };
        let link = match &exists.link {
            Link::Patient => format!("{} = {}", inner.patient(), self.patient()),
            Link::Columns { outer, inner: own } => format!("{} = {}", inner.column(own), self.column(outer)),
        };
        let mut sql = format!("EXISTS (SELECT 1 FROM {} WHERE {link}", inner.tables());
        match &exists.cohort {
            BoolTree::And(parts) if parts.is_empty() => {}
            or @ BoolTree::Or(_) => {
                let _ = write!(sql, " AND ({})", inner.condition(or));
            }
            other => {
                let _ = write!(sql, " AND {}", inner.condition(other));
            }
        }
        sql.push(')');
        sql
    }
}

fn days(from: &str, to: &str) -> String {
    format!("date_diff('day', {from}, {to})")
}

/// A table of values for codes.
fn recoded(column: &str, Recode { values, rest, null, .. }: &Recode) -> String {
    let name = |label: &Option<Value>| label.as_ref().map_or_else(|| "NULL".to_owned(), value);
    let mut sql = "CASE".to_owned();
    if null != rest {
        let _ = write!(sql, " WHEN {column} IS NULL THEN {}", name(null));
    }
    for (label, codes) in values {
        let codes: Vec<String> = codes.iter().map(|code| text(code)).collect();
        let _ = write!(sql, " WHEN {column} IN ({}) THEN {}", codes.join(", "), name(label));
    }
    let _ = write!(sql, " ELSE {} END", name(rest));
    sql
}

fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn value(value: &Value) -> String {
    match value {
        Value::Text(found) => text(found),
        Value::Integer(n) => n.to_string(),
        // Debug keeps a point or an exponent, so that the text stays a float.
        Value::Float(x) => format!("{:?}", x.get()),
        Value::Boolean(true) => "TRUE".to_owned(),
        Value::Boolean(false) => "FALSE".to_owned(),
        Value::Date(days) => format!("DATE '{}'", Day::from_days(*days)),
    }
}

/// A name, quoted unless it is a plain word that SQL gives no meaning to.
fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let keyword = ALL_KEYWORDS.binary_search(&name.to_uppercase().as_str()).is_ok();
    if plain && !keyword { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
