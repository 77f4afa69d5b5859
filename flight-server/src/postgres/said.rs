//! Statements that concern the connection and no table: transactions, settings, cursors of tools. A hub is read-only,
//! so they change nothing and are accepted; what would write is left to the hub, which refuses it.

use caim_sql::text::SETTINGS;

/// What a client says to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// A transaction begins.
    Begin,
    /// A transaction ends, with the word of the answer.
    End(&'static str),
    /// Something that changes nothing, with the word of the answer.
    Nothing(&'static str),
}

/// What the first words of a statement say to the connection, if they do.
pub(super) fn said(sql: &str) -> Option<Said> {
    let text = without_comments(sql);
    let mut words =
        text.split(|c: char| c.is_whitespace() || c == ';' || c == '(').filter(|word| !word.is_empty());
    let (first, second) = (words.next()?.to_ascii_uppercase(), words.next().unwrap_or_default());
    Some(match first.as_str() {
        "BEGIN" | "START" => Said::Begin,
        "COMMIT" | "END" => Said::End("COMMIT"),
        "ROLLBACK" | "ABORT" if !second.eq_ignore_ascii_case("to") => Said::End("ROLLBACK"),
        "ROLLBACK" => Said::Nothing("ROLLBACK"),
        "SAVEPOINT" => Said::Nothing("SAVEPOINT"),
        "RELEASE" => Said::Nothing("RELEASE"),
        "SET" if !is_option(&text) => Said::Nothing("SET"),
        "RESET" => Said::Nothing("RESET"),
        "DISCARD" => Said::Nothing("DISCARD ALL"),
        "DEALLOCATE" => Said::Nothing("DEALLOCATE"),
        "CLOSE" => Said::Nothing("CLOSE CURSOR"),
        "LISTEN" => Said::Nothing("LISTEN"),
        "UNLISTEN" => Said::Nothing("UNLISTEN"),
        _ => return None,
    })
}

/// Whether a SET is of an option of the hub; those of the protocol (`client_encoding`) are the connection's.
fn is_option(text: &str) -> bool {
    let key = text.trim_start().get(3..).unwrap_or_default().trim_start().to_ascii_lowercase();
    let key = key.strip_prefix("session ").unwrap_or(&key).trim_start();
    key.starts_with("caim.") || SETTINGS.iter().any(|known| key.starts_with(known))
}

/// The text from its first word on.
fn without_comments(sql: &str) -> String {
    let mut text = sql.trim_start();
    loop {
        let rest = match (text.strip_prefix("--"), text.strip_prefix("/*")) {
            (Some(line), _) => line.split_once('\n').map_or("", |(_, rest)| rest),
            (_, Some(block)) => block.split_once("*/").map_or("", |(_, rest)| rest),
            (None, None) => return text.to_owned(),
        };
        text = rest.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::{Said, said};

    #[test]
    fn the_connection_is_told_from_questions() {
        for (sql, expected) in [
            ("BEGIN READ ONLY", Some(Said::Begin)),
            ("-- hello\n/* there */ commit;", Some(Said::End("COMMIT"))),
            ("ROLLBACK TO SAVEPOINT a", Some(Said::Nothing("ROLLBACK"))),
            ("SET client_encoding TO 'UTF8'", Some(Said::Nothing("SET"))),
            ("set extra_float_digits = 3", Some(Said::Nothing("SET"))),
            ("SET caim.noise_sd = 8", None),
            ("INSERT INTO dicom.series VALUES (1)", None),
            ("SELECT 1", None),
            ("WITH a AS (SELECT 1) SELECT * FROM a", None),
            ("", None),
        ] {
            assert_eq!(said(sql), expected, "{sql}");
        }
    }
}
