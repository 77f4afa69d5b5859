//! Refuses clauses that the parser reads and the planner would pass over in silence: an ignored condition is a wider
//! query. Every field of the statement's tree is named, so that a new one does not slip through.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{
    GroupByExpr, OrderBy, Query, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind,
    Statement, TableFactor, Visit, Visitor, WildcardAdditionalOptions,
};

use crate::refusal::{Code, Refusal};

pub(super) fn check(query: &Query) -> Result<(), Refusal> {
    match query.visit(&mut Shape) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(refusal) => Err(*refusal),
    }
}

struct Shape;

type Flow = ControlFlow<Box<Refusal>>;

fn refuse(code: Code, what: &str) -> Flow {
    ControlFlow::Break(Box::new(Refusal::new(code, format!("{what} is not offered"))))
}

/// The first clause that is there.
fn absent(clauses: &[(bool, &str)]) -> Flow {
    match clauses.iter().find(|(there, _)| *there) {
        Some((_, what)) => refuse(Code::Unsupported, what),
        None => ControlFlow::Continue(()),
    }
}

impl Visitor for Shape {
    type Break = Box<Refusal>;

    fn pre_visit_statement(&mut self, _: &Statement) -> Flow {
        refuse(Code::Statement, "a statement inside a query")
    }

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        let Query {
            with,
            body: _,
            order_by,
            limit_clause: _,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        absent(&[
            (with.as_ref().is_some_and(|w| w.recursive), "WITH RECURSIVE"),
            (
                with.iter().flat_map(|w| &w.cte_tables).any(|cte| cte.from.is_some()),
                "FROM after a common table",
            ),
            (order_by.as_ref().is_some_and(|o| o.interpolate.is_some() || fills(o)), "WITH FILL"),
            (fetch.is_some(), "FETCH with TIES or PERCENT, or beside LIMIT"),
            (!locks.is_empty(), "FOR UPDATE"),
            (for_clause.is_some(), "FOR XML, JSON or BROWSE"),
            (settings.is_some(), "SETTINGS"),
            (format_clause.is_some(), "FORMAT"),
            (!pipe_operators.is_empty(), "|>"),
        ])
    }

    fn pre_visit_select(&mut self, select: &Select) -> Flow {
        let Select {
            select_token: _,
            optimizer_hints: _,
            distinct: _,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection: _,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having: _,
            named_window: _,
            qualify: _,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        if into.is_some() {
            return refuse(Code::Statement, "SELECT INTO");
        }
        let modifiers = match group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => modifiers,
        };
        absent(&[
            (select_modifiers.is_some(), "a modifier after SELECT"),
            (top.is_some(), "TOP with TIES or PERCENT, or beside LIMIT"),
            (exclude.is_some() || !projection.iter().all(is_plain), "EXCLUDE, REPLACE or RENAME after *"),
            (projection.is_empty(), "an empty select list"),
            (from.iter().flat_map(|t| &t.joins).any(|join| join.global), "GLOBAL JOIN"),
            (!lateral_views.is_empty(), "LATERAL VIEW"),
            (prewhere.is_some(), "PREWHERE"),
            (!connect_by.is_empty(), "CONNECT BY"),
            (!modifiers.is_empty(), "a modifier after GROUP BY"),
            (!cluster_by.is_empty(), "CLUSTER BY"),
            (!distribute_by.is_empty(), "DISTRIBUTE BY"),
            (!sort_by.is_empty(), "SORT BY"),
            (value_table_mode.is_some(), "AS STRUCT or AS VALUE"),
            (*flavor != SelectFlavor::Standard, "FROM before SELECT"),
        ])
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> Flow {
        match table {
            TableFactor::Table {
                name: _,
                alias: _,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                if sample.is_some() {
                    return refuse(Code::VolatileFunction, "TABLESAMPLE");
                }
                absent(&[
                    (args.is_some(), "a table function"),
                    (!with_hints.is_empty() || !index_hints.is_empty(), "a hint at a table"),
                    (version.is_some(), "a version of a table"),
                    (*with_ordinality, "WITH ORDINALITY"),
                    (!partitions.is_empty(), "PARTITION at a table"),
                    (json_path.is_some(), "a path at a table"),
                ])
            }
            TableFactor::Derived { lateral, subquery: _, alias: _, sample } => {
                if sample.is_some() {
                    return refuse(Code::VolatileFunction, "TABLESAMPLE");
                }
                absent(&[(*lateral, "LATERAL")])
            }
            TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            TableFactor::TableFunction { .. } | TableFactor::Function { .. } | TableFactor::UNNEST { .. } => {
                refuse(Code::Unsupported, "a table function")
            }
            TableFactor::JsonTable { .. }
            | TableFactor::OpenJsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::XmlTable { .. }
            | TableFactor::SemanticView { .. } => refuse(Code::Unsupported, "this kind of table"),
        }
    }
}

fn fills(order_by: &OrderBy) -> bool {
    use datafusion_sql::sqlparser::ast::OrderByKind;
    match &order_by.kind {
        OrderByKind::All(_) => false,
        OrderByKind::Expressions(keys) => keys.iter().any(|key| key.with_fill.is_some()),
    }
}

fn is_plain(item: &SelectItem) -> bool {
    let options = match item {
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => return true,
        SelectItem::ExprWithAliases { .. } => return false,
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _) => return false,
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), options)
        | SelectItem::Wildcard(options) => options,
    };
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
        && opt_alias.is_none()
}
