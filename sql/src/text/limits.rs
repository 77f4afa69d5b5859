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
/// Brackets that are open at once.
const MAX_DEPTH: usize = 64;
/// Nodes of all expressions together.
const MAX_EXPRESSIONS: usize = 2_000;
/// Tables that the plan scans, each use of a common table expression counted with all that it uses.
const MAX_RELATIONS: u64 = 128;
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
            return Err(too_complex(format!("more than {MAX_DEPTH} brackets are open at once")));
        }
    }
    if signs > MAX_SIGNS {
        return Err(too_complex(format!("the statement has {signs} keywords and signs; {MAX_SIGNS} are read")));
    }
    Ok(())
}

pub(super) fn check_query(query: &Query) -> Result<(), Refusal> {
    let mut count = Count { relations: vec![0], ..Count::default() };
    let _ = query.visit(&mut count);
    if count.expressions > MAX_EXPRESSIONS {
        let reason =
            format!("the statement has {} expressions; {MAX_EXPRESSIONS} are planned", count.expressions);
        return Err(too_complex(reason));
    }
    if count.relations.iter().any(|n| *n > MAX_RELATIONS) {
        return Err(too_complex(format!("the statement scans more than {MAX_RELATIONS} tables")));
    }
    Ok(())
}

/// Counts expressions, and tables as often as they will be planned.
#[derive(Default)]
struct Count {
    expressions: usize,
    /// Tables of the queries that are being visited, the outermost first.
    relations: Vec<u64>,
    /// Where the common table expressions of visited queries are, and their names.
    definitions: HashMap<*const Query, String>,
    /// What one use of a common table expression costs.
    costs: HashMap<String, u64>,
}

impl Visitor for Count {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let address: *const Query = cte.query.as_ref();
            self.definitions.insert(address, cte.alias.name.value.to_lowercase());
        }
        self.relations.push(0);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let own = self.relations.pop().unwrap_or_default();
        if let Some(name) = self.definitions.get(&std::ptr::from_ref(query)) {
            self.costs.insert(name.clone(), own.max(1));
        }
        if let Some(outer) = self.relations.last_mut() {
            *outer = outer.saturating_add(own);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let cost = self.costs.get(&relation.to_string().replace('"', "").to_lowercase()).copied().unwrap_or(1);
        if let Some(own) = self.relations.last_mut() {
            *own = own.saturating_add(cost);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.expressions += 1;
        ControlFlow::Continue(())
    }
}
