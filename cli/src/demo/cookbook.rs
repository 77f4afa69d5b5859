//! The questions of the demo, each a file with a comment that says what it asks; one of them is the cookbook's first.

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// What it asks, in words; lines of at most 96 characters.
    pub asks: String,
    /// The statement.
    pub sql: String,
}

const FILES: [&str; 6] = [
    include_str!("cookbook/1-diagnoses.sql"),
    include_str!("cookbook/2-age-and-sex.sql"),
    include_str!("cookbook/3-body-parts.sql"),
    include_str!("../../../docs/cookbook/01-feasibility.sql"),
    include_str!("cookbook/4-diagnosis-to-imaging.sql"),
    include_str!("cookbook/5-refused.sql"),
];

/// The questions, in the order of the demo; the last one is refused.
#[must_use]
pub fn recipes() -> Vec<Recipe> {
    FILES.iter().map(|text| Recipe::read(text)).collect()
}

impl Recipe {
    /// The comment lines at the head are the words, the rest is the statement.
    fn read(text: &str) -> Self {
        let (comment, sql): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("--"));
        let words: Vec<&str> = comment.iter().map(|line| line.trim_start_matches('-').trim()).collect();
        Self { asks: words.join("\n"), sql: sql.join("\n") }
    }
}

#[cfg(test)]
mod tests {
    use super::recipes;

    #[test]
    fn every_recipe_says_what_it_asks_and_is_one_statement() {
        for recipe in recipes() {
            assert!(recipe.asks.len() > 20, "{}", recipe.sql);
            assert_eq!(caim_sql::text::statements::all(&recipe.sql).len(), 1, "{}", recipe.asks);
            assert!(recipe.sql.lines().chain(recipe.asks.lines()).all(|line| line.chars().count() <= 96));
        }
    }
}
