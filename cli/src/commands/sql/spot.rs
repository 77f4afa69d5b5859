//! The place in a statement that a refusal is about, marked below its line.

use caim_sql::{Code, Refusal};

use crate::exit;

/// The line of the statement with a mark below the place, where the refusal names one.
pub(super) fn mark(sql: &str, error: &anyhow::Error) -> Option<String> {
    let (line, column, width) = place(sql, exit::refusal(error)?)?;
    let text = sql.lines().nth(line)?;
    let before: String = text.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    Some(format!("{text}\n{before}{}", "^".repeat(width.max(1))))
}

/// Line and column from 0, and how many characters.
fn place(sql: &str, refusal: &Refusal) -> Option<(usize, usize, usize)> {
    if let Some(position) = position(&refusal.reason) {
        return Some(position);
    }
    if !matches!(
        refusal.code,
        Code::UnknownName | Code::UnknownConcept | Code::AmbiguousConcept | Code::NotCoded
    ) {
        return None;
    }
    // The name that is not known is said in the reason: the longest of its words that the statement has, too.
    let words = refusal.reason.split(|c: char| c.is_whitespace() || "\"',;()".contains(c));
    let mut words: Vec<&str> = words.filter(|word| word.len() > 2).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words.into_iter().find_map(|word| find(sql, word))
}

/// `at Line: 2, Column: 7`, as the parser says it.
fn position(reason: &str) -> Option<(usize, usize, usize)> {
    let (_, after) = reason.split_once("Line: ")?;
    let (line, after) = after.split_once(", Column: ")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    let (line, column): (usize, usize) = (line.trim().parse().ok()?, digits.parse().ok()?);
    Some((line.checked_sub(1)?, column.checked_sub(1)?, 1))
}

/// A whole word of the statement, in any case.
fn find(sql: &str, word: &str) -> Option<(usize, usize, usize)> {
    let word = word.to_ascii_lowercase();
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    for (number, line) in sql.lines().enumerate() {
        let folded = line.to_ascii_lowercase();
        for (at, _) in folded.match_indices(&word) {
            let apart = !folded[..at].ends_with(inside) && !folded[at + word.len()..].starts_with(inside);
            if apart {
                return Some((number, folded[..at].chars().count(), word.chars().count()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use caim_sql::{Code, Refusal};

    use super::mark;

    fn marked(sql: &str, code: Code, reason: &str) -> Option<String> {
        mark(sql, &anyhow::Error::new(Refusal::new(code, reason)))
    }

    #[test]
    fn the_place_is_marked_below_its_line() {
        let sql = "SELECT Modalty\nFROM dicom.series";
        let by_name = marked(sql, Code::UnknownName, "there is no column modalty").unwrap();
        assert_eq!(by_name, "SELECT Modalty\n       ^^^^^^^");
        let by_place = marked(sql, Code::Syntax, "Expected: x, found: y at Line: 2, Column: 6").unwrap();
        assert_eq!(by_place, "FROM dicom.series\n     ^");
    }

    #[test]
    fn a_refusal_without_a_place_has_no_mark() {
        assert_eq!(marked("SELECT 1", Code::NoAggregate, "rows of patients are selected"), None);
        assert_eq!(marked("SELECT 1", Code::Syntax, "at Line: 9, Column: 0"), None);
    }
}
