//! From PostgreSQL's dialect to SQLite's, over the syntax tree: casts, operators, arrays and qualified functions become
//! plain calls of [`functions`](super::functions). Which functions may be called is a list: any other is refused.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SetExpr, Statement, Subscript, TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::functions;

/// Longest statement, in bytes, and deepest nesting.
const MAX_BYTES: usize = 64 << 10;
const MAX_DEPTH: usize = 64;

/// The statement, if it is a query about the catalogue; what does not parse here is for the hub to judge.
pub(super) fn read(sql: &str) -> Option<Statement> {
    if sql.len() > MAX_BYTES {
        return None;
    }
    let mut parser =
        Parser::new(&PostgreSqlDialect {}).with_recursion_limit(MAX_DEPTH).try_with_sql(sql).ok()?;
    let statement = parser.parse_statement().ok()?;
    let mut concerns = Concerns::default();
    let _ = Visit::visit(&statement, &mut concerns);
    let about = concerns.catalogue || (concerns.system && !concerns.tables);
    (about && matches!(statement, Statement::Query(_))).then_some(statement)
}

/// What a statement is about.
#[derive(Default)]
struct Concerns {
    /// A table of `pg_catalog`.
    catalogue: bool,
    /// Any other table.
    tables: bool,
    /// A function of the connection or the catalogue.
    system: bool,
}

impl Visitor for Concerns {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let names = lower(relation);
        match &names[..] {
            [schema, _] if schema == "pg_catalog" => self.catalogue = true,
            [name] if name.starts_with("pg_") => self.catalogue = true,
            _ => self.tables = true,
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => {
                let names = lower(&function.name);
                let name = names.last().map(String::as_str).unwrap_or_default();
                let qualified = names.len() > 1 && names.first().is_some_and(|schema| schema == "pg_catalog");
                self.system |= qualified || functions::is_system(name);
            }
            Expr::Identifier(ident) if functions::is_constant(&ident.value) => self.system = true,
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

pub(super) fn lower(name: &ObjectName) -> Vec<String> {
    let part = |part: &ObjectNamePart| part.as_ident().map(|ident| ident.value.to_ascii_lowercase());
    name.0.iter().filter_map(part).collect()
}

/// How many parameters a statement takes: the highest number among `$1`, `$2`, ...
pub(super) fn parameters(statement: &Statement) -> usize {
    let mut highest = Highest(0);
    let _ = Visit::visit(statement, &mut highest);
    highest.0
}

struct Highest(usize);

impl Visitor for Highest {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
        {
            self.0 = self.0.max(name.trim_start_matches('$').parse().unwrap_or(0));
        }
        ControlFlow::Continue(())
    }
}

/// Puts a statement into SQLite's dialect; `user` is who asks.
///
/// # Errors
/// Names what cannot be put so.
pub(super) fn rewrite(statement: &mut Statement, user: &str) -> Result<(), String> {
    if let Statement::Query(query) = statement
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        name_columns(select);
    }
    let rewritten = match super::series::rewrite(statement) {
        ControlFlow::Continue(()) => VisitMut::visit(statement, &mut Rewrite { user }),
        ControlFlow::Break(why) => ControlFlow::Break(why),
    };
    match rewritten {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(why) => Err(why),
    }
}

/// Gives columns the names that PostgreSQL gives them.
fn name_columns(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item {
            let alias = Ident::with_quote('"', column_name(expr));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

fn column_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => ident.value.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().map(|part| part.value.clone()).unwrap_or_default(),
        Expr::Function(function) => lower(&function.name).pop().unwrap_or_default(),
        Expr::Cast { expr, data_type, .. } => match column_name(expr) {
            name if name == "?column?" => data_type.to_string().to_ascii_lowercase(),
            name => name,
        },
        Expr::Nested(expr) | Expr::Collate { expr, .. } => column_name(expr),
        Expr::CompoundFieldAccess { root, .. } => column_name(root),
        Expr::Case { .. } => "case".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expr)) => column_name(expr),
                Some(SelectItem::ExprWithAlias { alias, .. }) => alias.value.clone(),
                _ => "?column?".to_owned(),
            },
            _ => "?column?".to_owned(),
        },
        _ => "?column?".to_owned(),
    }
}

struct Rewrite<'a> {
    user: &'a str,
}

impl VisitorMut for Rewrite<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<String> {
        query.locks.clear();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<String> {
        match factor {
            TableFactor::Table { name, args, .. } => {
                // Other functions that give rows are tables of the same name here.
                if lower(name) != ["json_each"] {
                    *args = None;
                }
                ControlFlow::Continue(())
            }
            TableFactor::Derived { lateral, .. } => {
                *lateral = false;
                ControlFlow::Continue(())
            }
            TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            other => ControlFlow::Break(format!("no rows come from {other}")),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        let placeholder = Expr::value(Value::Null);
        let written = std::mem::replace(expr, placeholder);
        match self.rewritten(written) {
            Ok(rewritten) => {
                *expr = rewritten;
                ControlFlow::Continue(())
            }
            Err(why) => ControlFlow::Break(why),
        }
    }
}

impl Rewrite<'_> {
    fn rewritten(&self, expr: Expr) -> Result<Expr, String> {
        Ok(match expr {
            Expr::Cast { expr, data_type, .. } => cast(*expr, &data_type),
            Expr::Collate { expr, .. } => *expr,
            Expr::BinaryOp { left, op, right } => binary(*left, op, *right),
            Expr::ILike { negated, any, expr, pattern, escape_char } => {
                Expr::Like { negated, any, expr, pattern, escape_char }
            }
            Expr::AnyOp { left, compare_op, right, .. } => any(*left, &compare_op, *right)?,
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => {
                call("pg_outside_array", vec![*left, unnested(*right)])
            }
            Expr::Array(Array { elem, .. }) => call("pg_array", elem),
            Expr::CompoundFieldAccess { root, access_chain } => subscript(*root, access_chain)?,
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let from = substring_from.map_or_else(|| number(1), |from| *from);
                let arguments = [Some(*expr), Some(from), substring_for.map(|length| *length)];
                call("substr", arguments.into_iter().flatten().collect())
            }
            Expr::Position { expr, r#in } => call("instr", vec![*r#in, *expr]),
            Expr::Value(value) => match value.value {
                Value::EscapedStringLiteral(text) | Value::NationalStringLiteral(text) => {
                    Expr::value(Value::SingleQuotedString(text))
                }
                // `$2` would be a name to SQLite; `?2` is the second parameter.
                Value::Placeholder(name) => Expr::value(Value::Placeholder(name.replace('$', "?"))),
                other => Expr::value(other),
            },
            Expr::Identifier(ident)
                if ident.quote_style.is_none() && functions::is_constant(&ident.value) =>
            {
                self.constant(&ident.value.to_ascii_lowercase())
            }
            Expr::Function(function) => self.function(function)?,
            other => other,
        })
    }

    fn function(&self, mut function: Function) -> Result<Expr, String> {
        let name = lower(&function.name).pop().unwrap_or_default();
        if functions::is_constant(&name) {
            return Ok(self.constant(&name));
        }
        if name == "array" {
            return Ok(Expr::value(Value::Null));
        }
        if !functions::is_known(&name) {
            return Err(format!("there is no function {name}"));
        }
        if name != "array_agg" {
            let renamed = functions::RENAMED.iter().find(|(known, _, _)| *known == name);
            let name = renamed.map_or(name, |(_, name, _)| (*name).to_owned());
            function.name = ObjectName::from(vec![Ident::new(name)]);
            return Ok(Expr::Function(function));
        }
        function.name = ObjectName::from(vec![Ident::new("group_concat")]);
        if let FunctionArguments::List(list) = &mut function.args {
            let separator = Expr::value(Value::SingleQuotedString(",".to_owned()));
            list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(separator)));
        }
        Ok(call("pg_array", vec![Expr::Function(function)]))
    }

    /// Who and where one is, which is no function's business.
    fn constant(&self, name: &str) -> Expr {
        let value = match name {
            "current_database" | "current_catalog" => caim_engine::hub::public::CATALOG,
            "current_schema" => super::tables::DEFAULT_SCHEMA,
            _ => self.user,
        };
        Expr::value(Value::SingleQuotedString(value.to_owned()))
    }
}

pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

pub(super) fn number(n: u32) -> Expr {
    Expr::value(Value::Number(n.to_string(), false))
}

fn is_text(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => !matches!(value.value, Value::Number(_, _)),
        Expr::Nested(expr) => is_text(expr),
        _ => false,
    }
}

/// A cast keeps the value, but for names of objects, which become their numbers, and numbers, which become names.
fn cast(expr: Expr, to: &DataType) -> Expr {
    let to = to.to_string().to_ascii_lowercase();
    let to = to.trim_start_matches("pg_catalog.").trim_matches('"');
    match to {
        "regclass" if is_text(&expr) => call("pg_class_oid", vec![expr]),
        "regclass" => call("pg_class_name", vec![expr]),
        "regnamespace" if is_text(&expr) => call("pg_namespace_oid", vec![expr]),
        "regnamespace" => call("pg_namespace_name", vec![expr]),
        "regtype" if is_text(&expr) => call("pg_type_oid", vec![expr]),
        "regtype" => call("format_type", vec![expr, Expr::value(Value::Null)]),
        "oid" | "int" | "int2" | "int4" | "int8" | "integer" | "bigint" | "smallint" | "xid" => {
            sql_cast(expr, DataType::Integer(None))
        }
        _ if to.starts_with("text")
            || to.starts_with("varchar")
            || to.starts_with("character")
            || to == "name" =>
        {
            if to.ends_with("[]") {
                expr
            } else {
                sql_cast(expr, DataType::Text)
            }
        }
        _ => expr,
    }
}

fn sql_cast(expr: Expr, data_type: DataType) -> Expr {
    let kind = datafusion::sql::sqlparser::ast::CastKind::Cast;
    Expr::Cast { kind, expr: Box::new(expr), data_type, array: false, format: None }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    let name = match &op {
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
        other => other.to_string(),
    };
    let like = |negated| Expr::Like {
        negated,
        any: false,
        expr: Box::new(left.clone()),
        pattern: Box::new(right.clone()),
        escape_char: None,
    };
    match name.as_str() {
        "~" => call("pg_matches", vec![left, right]),
        "~*" => call("pg_imatches", vec![left, right]),
        "!~" => Expr::UnaryOp {
            op: datafusion::sql::sqlparser::ast::UnaryOperator::Not,
            expr: Box::new(call("pg_matches", vec![left, right])),
        },
        "~~" | "~~*" => like(false),
        "!~~" | "!~~*" => like(true),
        "=" | "<>" | "<" | ">" | "<=" | ">=" | "+" | "-" | "||" => {
            let plain = match name.as_str() {
                "=" => BinaryOperator::Eq,
                "<>" => BinaryOperator::NotEq,
                "<" => BinaryOperator::Lt,
                ">" => BinaryOperator::Gt,
                "<=" => BinaryOperator::LtEq,
                ">=" => BinaryOperator::GtEq,
                "+" => BinaryOperator::Plus,
                "-" => BinaryOperator::Minus,
                _ => BinaryOperator::StringConcat,
            };
            Expr::BinaryOp { left: Box::new(left), op: plain, right: Box::new(right) }
        }
        _ => Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) },
    }
}

fn any(left: Expr, op: &BinaryOperator, right: Expr) -> Result<Expr, String> {
    if *op != BinaryOperator::Eq {
        return Err(format!("{op} ANY is not known"));
    }
    Ok(match unnested(right) {
        Expr::Subquery(subquery) => Expr::InSubquery { expr: Box::new(left), subquery, negated: false },
        array => call("pg_in_array", vec![left, array]),
    })
}

fn unnested(expr: Expr) -> Expr {
    match expr {
        Expr::Nested(expr) => unnested(*expr),
        other => other,
    }
}

fn subscript(root: Expr, chain: Vec<AccessExpr>) -> Result<Expr, String> {
    chain.into_iter().try_fold(root, |root, access| match (root, access) {
        (root, AccessExpr::Subscript(Subscript::Index { index })) => {
            Ok(call("pg_element", vec![unnested(root), index]))
        }
        (Expr::Identifier(table), AccessExpr::Dot(Expr::Identifier(column))) => {
            Ok(Expr::CompoundIdentifier(vec![table, column]))
        }
        (_, other) => Err(format!("{other} is not known")),
    })
}
