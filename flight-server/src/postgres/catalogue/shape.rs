//! The types of a catalogue query's columns, from its text alone: what is described is then what is sent.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, SelectItem, SetExpr, Statement,
    UnaryOperator, Value,
};
use pgwire::api::Type;

use super::functions::{self, Gives};
use super::tables::COLUMNS;

/// What the text says of each column; `None` where the column's table says it.
pub(super) struct Shape {
    written: Vec<Option<Type>>,
}

impl Shape {
    /// The type of a column; `declared` is what its table says.
    pub(super) fn column(&self, i: usize, declared: Option<&str>) -> Type {
        let declared = declared.map(of_declaration);
        declared.or_else(|| self.written.get(i).cloned().flatten()).unwrap_or(Type::TEXT)
    }
}

/// Reads the types off a statement as its author wrote it.
pub(super) fn of(statement: &Statement) -> Shape {
    let Statement::Query(query) = statement else { return Shape { written: Vec::new() } };
    let items = first_select(&query.body);
    let wild = items
        .iter()
        .any(|item| !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
    let of = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => of_expr(expr),
        _ => None,
    };
    Shape { written: if wild { Vec::new() } else { items.iter().map(of).collect() } }
}

fn first_select(body: &SetExpr) -> &[SelectItem] {
    match body {
        SetExpr::Select(select) => &select.projection,
        SetExpr::SetOperation { left, .. } => first_select(left),
        SetExpr::Query(query) => first_select(&query.body),
        _ => &[],
    }
}

fn of_expr(expr: &Expr) -> Option<Type> {
    Some(match expr {
        Expr::Nested(expr) | Expr::Collate { expr, .. } => return of_expr(expr),
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsDistinctFrom(_, _)
        | Expr::IsNotDistinctFrom(_, _)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::Exists { .. }
        | Expr::UnaryOp { op: UnaryOperator::Not, .. } => Type::BOOL,
        Expr::BinaryOp { left, op, .. } => match op.to_string().as_str() {
            "=" | "<>" | "<" | ">" | "<=" | ">=" | "AND" | "OR" | "~" | "!~" | "~~" => Type::BOOL,
            "||" => Type::TEXT,
            "+" | "-" | "*" | "/" | "%" => return of_expr(left).or(Some(Type::INT8)),
            _ => Type::BOOL,
        },
        Expr::Value(value) => match &value.value {
            Value::Boolean(_) => Type::BOOL,
            Value::Number(number, _) if number.contains('.') => Type::FLOAT8,
            Value::Number(_, _) => Type::INT4,
            _ => Type::TEXT,
        },
        Expr::Cast { data_type, .. } => of_cast(data_type),
        Expr::Case { conditions, else_result, .. } => {
            let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
            return results.filter(|expr| !is_null(expr)).find_map(of_expr);
        }
        Expr::Function(function) => {
            let name = function.name.0.last()?.as_ident()?.value.to_ascii_lowercase();
            match (functions::gives(&name), name.as_str()) {
                (Some(Gives::Text), _) => Type::TEXT,
                (Some(Gives::Truth), _) => Type::BOOL,
                (Some(Gives::Number), _) => Type::INT8,
                (Some(Gives::Json), _) => Type::JSON,
                (None, "count" | "row_number" | "rank" | "dense_rank" | "length" | "instr" | "sum") => {
                    Type::INT8
                }
                (None, "unnest" | "generate_subscripts") => Type::INT4,
                (None, "array_agg") => Type::TEXT_ARRAY,
                (None, "bool_and" | "bool_or") => Type::BOOL,
                (None, "min" | "max") => return argument(&function.args).and_then(of_column),
                (None, _) => Type::TEXT,
            }
        }
        Expr::Subquery(query) => {
            return of_expr(match first_select(&query.body).first()? {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
                _ => return None,
            });
        }
        _ => return None,
    })
}

/// The one argument of a function.
fn argument(args: &FunctionArguments) -> Option<&Expr> {
    let FunctionArguments::List(list) = args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => Some(expr),
        _ => None,
    }
}

/// The type that a column of the catalogue has in every table that has it, whatever the table is called here.
fn of_column(expr: &Expr) -> Option<Type> {
    let name = match expr {
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(parts) => parts.last()?,
        other => return of_expr(other),
    };
    let columns = COLUMNS
        .lines()
        .filter_map(|table| table.split_once('('))
        .flat_map(|(_, columns)| columns.split(", "));
    let declared = columns.filter_map(|column| column.trim_end_matches(')').split_once(' '));
    declared
        .filter(|(known, _)| name.value.eq_ignore_ascii_case(known))
        .map(|(_, ty)| of_declaration(ty))
        .next()
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == Value::Null)
}

fn of_cast(ty: &DataType) -> Type {
    let name = ty.to_string().to_ascii_lowercase();
    match name.trim_start_matches("pg_catalog.").trim_matches('"') {
        "int" | "int4" | "integer" => Type::INT4,
        "int2" | "smallint" => Type::INT2,
        "int8" | "bigint" => Type::INT8,
        "oid" => Type::OID,
        "bool" | "boolean" => Type::BOOL,
        "name" => Type::NAME,
        _ => Type::TEXT,
    }
}

/// The types that the catalogue's tables declare.
fn of_declaration(declared: &str) -> Type {
    match declared.split_whitespace().next().unwrap_or_default() {
        "OID" => Type::OID,
        "NAME" => Type::NAME,
        "BOOL" => Type::BOOL,
        "INT2" => Type::INT2,
        "INT4" => Type::INT4,
        "INT8" | "INTEGER" => Type::INT8,
        "FLOAT4" => Type::FLOAT4,
        "CHAR" => Type::CHAR,
        "ARRAY" => Type::INT2_ARRAY,
        "VECTOR" => Type::INT2_VECTOR,
        _ => Type::TEXT,
    }
}
