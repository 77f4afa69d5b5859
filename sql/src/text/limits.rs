//! Limits on a statement, so that no text can overflow a stack or keep a planner busy.
//!
//! Parsers and planners recurse over nesting and over chains (`1+1+...`), and tables named twice double a plan with
//! every common table expression. All three are counted, before parsing where the parser itself is at risk.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{Expr, ObjectName, Query, Visit, Visitor};
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::refusal::{Code, Refusal};

/// Bytes of text.
const MAX_BYTES: usize = 64 << 10;
/// Keywords and signs: what chains are made of. Names, values, commas and brackets are not counted.
const MAX_SIGNS: usize = 2_000;
/// Brackets and CASEs that are open at once.
const MAX_DEPTH: usize = 64;
/// Nodes of all expressions together.
const MAX_EXPRESSIONS: usize = 2_000;
/// Tables that the plan scans, each use of a common table expression counted with all that it uses.
const MAX_RELATIONS: usize = 128;
/// Nodes of the plan's expressions, counted in the same way.
const MAX_PLANNED_EXPRESSIONS: usize = 4 * MAX_EXPRESSIONS;
/// Subqueries inside expressions inside subqueries: the planner's work doubles with each.
const MAX_SUBQUERY_DEPTH: usize = 6;
/// Levels of the parser's own recursion.
pub(super) const MAX_RECURSION: usize = 160;

fn too_complex(reason: String) -> Refusal {
    Refusal::new(Code::TooComplex, reason)
}

pub(super) fn check_length(sql: &str) -> Result<(), Refusal> {
    if sql.len() > MAX_BYTES {
        return Err(too_complex(format!("the statement has {} bytes; {MAX_BYTES} are read", sql.len())));
    }
    Ok(())
}

pub(super) fn check_tokens(tokens: &[TokenWithSpan]) -> Result<(), Refusal> {
    let (mut depth, mut signs) = (0usize, 0usize);
    for token in tokens {
        match &token.token {
            Token::Word(word) if word.keyword == Keyword::CASE => depth += 1,
            Token::Word(word) if word.keyword == Keyword::END => depth = depth.saturating_sub(1),
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            Token::Word(word) if word.keyword == Keyword::NoKeyword => {}
            Token::Whitespace(_)
            | Token::Comma
            | Token::Period
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_) => {}
            // Any other token may be a link of a chain: counting too much is safe.
            _ => signs += 1,
        }
        if depth > MAX_DEPTH {
            return Err(too_complex(format!("more than {MAX_DEPTH} brackets or CASEs are open at once")));
        }
    }
    if signs > MAX_SIGNS {
        return Err(too_complex(format!(
            "the statement has {signs} keywords and signs; {MAX_SIGNS} are read"
        )));
    }
    Ok(())
}

pub(super) fn check_query(query: &Query) -> Result<(), Refusal> {
    let mut count = Count { costs: vec![Cost::default()], ..Count::default() };
    let _ = query.visit(&mut count);
    if count.expressions > MAX_EXPRESSIONS {
        let reason =
            format!("the statement has {} expressions; {MAX_EXPRESSIONS} are planned", count.expressions);
        return Err(too_complex(reason));
    }
    if count.deepest > MAX_SUBQUERY_DEPTH {
        return Err(too_complex(format!("subqueries are nested more than {MAX_SUBQUERY_DEPTH} deep")));
    }
    let planned = count.costs.first().copied().unwrap_or_default();
    if planned.relations > MAX_RELATIONS {
        return Err(too_complex(format!("the statement scans more than {MAX_RELATIONS} tables")));
    }
    if planned.expressions > MAX_PLANNED_EXPRESSIONS {
        return Err(too_complex("common table expressions are used too often".to_owned()));
    }
    Ok(())
}

/// What one use of a query costs the planner.
#[derive(Clone, Copy, Default)]
struct Cost {
    relations: usize,
    expressions: usize,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.relations = self.relations.saturating_add(other.relations);
        self.expressions = self.expressions.saturating_add(other.expressions);
    }
}

/// Counts expressions, and what queries cost, common table expressions as often as they are used.
#[derive(Default)]
struct Count {
    expressions: usize,
    /// Subqueries in expressions that are being visited, and the most of them so far.
    depth: usize,
    deepest: usize,
    /// Costs of the queries that are being visited, the outermost first.
    costs: Vec<Cost>,
    /// Where the common table expressions of visited queries are, and their names.
    definitions: HashMap<*const Query, String>,
    /// What one use of a common table expression costs.
    defined: HashMap<String, Cost>,
}

impl Count {
    /// Adds to the cost of the query that is being visited.
    fn spend(&mut self, cost: Cost) {
        if let Some(own) = self.costs.last_mut() {
            own.add(cost);
        }
    }
}

impl Visitor for Count {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let address: *const Query = cte.query.as_ref();
            self.definitions.insert(address, cte.alias.name.value.to_lowercase());
        }
        self.costs.push(Cost::default());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let own = self.costs.pop().unwrap_or_default();
        if let Some(name) = self.definitions.get(&std::ptr::from_ref(query)) {
            self.defined.insert(name.clone(), Cost { relations: own.relations.max(1), ..own });
        }
        self.spend(own);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = relation.to_string().replace('"', "").to_lowercase();
        self.spend(self.defined.get(&name).copied().unwrap_or(Cost { relations: 1, expressions: 0 }));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.expressions += 1;
        self.spend(Cost { relations: 0, expressions: 1 });
        if has_query(expr) {
            self.depth += 1;
            self.deepest = self.deepest.max(self.depth);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if has_query(expr) {
            self.depth = self.depth.saturating_sub(1);
        }
        ControlFlow::Continue(())
    }
}

fn has_query(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Subquery(_)
            | Expr::Exists { .. }
            | Expr::InSubquery { .. }
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. }
    )
}
