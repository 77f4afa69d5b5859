//! The words of a session that begin with `\`, as questions about public tables, and the names that can be completed.

use clap::ValueEnum;
use datafusion::arrow::array::AsArray;

use super::super::asking::Asking;
use crate::output::Format;

/// Names of concepts that are offered for completion at most.
const CONCEPTS: usize = 20_000;

/// What a word asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Word {
    /// A statement.
    Ask(String),
    /// A text to show.
    Print(String),
    /// Times on or off.
    Timing,
    /// One line a value, on or off.
    Records,
    /// Another format of answers.
    Format(Format),
}

const HELP: &str = "\
\\d [TABLE]      tables, or the columns of one with their roles
\\dt [SCHEMA]    tables, of one schema
\\df             functions of concepts
\\concept TEXT   concepts by name
\\timing         show how long a question takes
\\x              one line a value
\\format NAME    table, records, csv, json, ndjson
\\q              leave
Tab completes names of tables, columns, functions and concepts. Ctrl-C cancels a question at every node.";

const FUNCTIONS: &str = "\
is_a(column, 'code')              whether it is that concept or one beneath it
label(column)                     what people call it
roll_up(column, 'code')           the concept right beneath `code` that it lies under
roll_up(column, 2)                the concept two steps beneath the top of its vocabulary
roll_up_to(column, 'a', 'b', ...) the first of these that it is or lies under";

/// Reads a word.
pub(super) fn read(typed: &str) -> Word {
    let typed = typed.trim().trim_end_matches(';').trim();
    let (word, rest) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
    let rest = rest.trim();
    match word {
        "\\d" if !rest.is_empty() => Word::Ask(columns(rest)),
        "\\d" | "\\dt" => Word::Ask(tables(rest)),
        "\\df" => Word::Print(FUNCTIONS.to_owned()),
        "\\concept" if !rest.is_empty() => Word::Ask(concepts(rest)),
        "\\concept" => Word::Print("\\concept takes a part of a name: \\concept prostate".to_owned()),
        "\\timing" => Word::Timing,
        "\\x" => Word::Records,
        "\\format" => match Format::from_str(rest, true) {
            Ok(Format::Arrow | Format::Parquet) => Word::Print(
                "binary formats belong into a file: caim sql -c ... --format arrow > FILE".to_owned(),
            ),
            Ok(format) => Word::Format(format),
            Err(_) => Word::Print(format!("{rest:?} is no format: table, records, csv, json, ndjson")),
        },
        "\\?" => Word::Print(HELP.to_owned()),
        other => Word::Print(format!("{other} is not known; \\? lists what can be typed")),
    }
}

/// Text as a string of SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn tables(schema: &str) -> String {
    let of = if schema.is_empty() {
        "true".to_owned()
    } else {
        format!("table_schema = {}", quoted(&schema.to_lowercase()))
    };
    format!(
        "SELECT table_schema AS schema, table_name AS \"table\", remarks AS comment FROM information_schema.tables \
         WHERE {of} AND table_schema <> 'information_schema' ORDER BY 1, 2"
    )
}

fn columns(table: &str) -> String {
    let table = table.replace('"', "").to_lowercase();
    let (schema, name) =
        table.split_once('.').map_or((None, table.as_str()), |(schema, name)| (Some(schema), name));
    let of = schema.map_or(String::new(), |schema| format!(" AND c.table_schema = {}", quoted(schema)));
    format!(
        "SELECT c.table_schema AS schema, c.column_name AS \"column\", c.data_type AS type, r.role, r.\"references\", \
         c.remarks AS comment FROM information_schema.columns AS c LEFT JOIN catalog.\"column\" AS r \
         ON r.table_schema = c.table_schema AND r.table_name = c.table_name AND r.column_name = c.column_name \
         WHERE c.table_name = {}{of} ORDER BY c.table_schema, c.ordinal_position",
        quoted(name)
    )
}

fn concepts(text: &str) -> String {
    let pattern = quoted(&format!("%{}%", text.trim_matches('\'')));
    format!(
        "SELECT concept_code, label, domain, descendants FROM catalog.concept \
         WHERE label ILIKE {pattern} ORDER BY length(label), label LIMIT 20"
    )
}

/// Names that can be completed: tables, columns, functions, words of SQL, and concepts as strings.
pub(super) async fn known(asking: &mut Asking) -> Vec<String> {
    let mut known: Vec<String> = SQL.split_whitespace().map(str::to_owned).collect();
    let questions = [
        "SELECT DISTINCT table_schema FROM information_schema.columns".to_owned(),
        "SELECT DISTINCT table_schema || '.' || table_name FROM information_schema.columns".to_owned(),
        "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'eucaim'".to_owned(),
        "SELECT DISTINCT column_name FROM information_schema.columns".to_owned(),
        format!(
            "SELECT '''' || replace(label, '''', '''''') || '''' FROM catalog.concept ORDER BY label LIMIT {CONCEPTS}"
        ),
    ];
    for sql in questions {
        // Without these names there is less to complete, and nothing else.
        let Ok(answer) = asking.ask(&sql).await else { continue };
        for batch in &answer.batches {
            let Some(names) = batch.columns().first().and_then(|column| column.as_string_opt::<i32>()) else {
                continue;
            };
            known.extend(names.iter().flatten().map(str::to_owned));
        }
    }
    known.sort();
    known.dedup();
    known
}

/// Words of SQL, and the functions of concepts.
const SQL: &str = "\
SELECT FROM WHERE GROUP BY HAVING ORDER LIMIT JOIN LEFT INNER ON AND OR NOT IN IS NULL BETWEEN LIKE ILIKE EXISTS CASE \
WHEN THEN ELSE END AS DISTINCT WITH UNION ALL EXPLAIN SET FILTER EXTRACT INTERVAL DATE CAST DESC ASC ROLLUP CUBE \
count( sum( avg( median( stddev( percentile_cont( date_diff( is_a( label( roll_up( roll_up_to( \
caim.noise_sd caim.project caim.purpose caim.max_rows_per_patient \
\\d \\dt \\df \\concept \\timing \\x \\format \\q \\?";

#[cfg(test)]
mod tests {
    use caim_sql::text;

    use super::{Word, read};
    use crate::output::Format;

    #[test]
    fn words_become_statements_that_parse() {
        for typed in [
            "\\d",
            "\\d dicom.series",
            "\\d \"Series\"",
            "\\dt omop",
            "\\concept it's",
            "\\d x'; DROP TABLE y",
        ] {
            let Word::Ask(sql) = read(typed) else { panic!("{typed} asks nothing") };
            assert!(text::read(&sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn other_words_choose_or_tell() {
        assert_eq!(read("\\x"), Word::Records);
        assert_eq!(read("\\timing;"), Word::Timing);
        assert_eq!(read("\\format csv"), Word::Format(Format::Csv));
        for typed in ["\\format arrow", "\\format no", "\\?", "\\df", "\\unknown", "\\concept"] {
            assert!(matches!(read(typed), Word::Print(_)), "{typed}");
        }
    }
}
