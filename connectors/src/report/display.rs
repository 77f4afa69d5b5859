//! The report for a terminal: aligned columns first, then what wants attention.

use std::fmt::{self, Display, Formatter};

use super::{BuildReport, Coverage, Report, TableReport, Warning};
use crate::error::printable;

/// So many lines of a list are shown; the report as JSON has more.
const SHOWN: usize = 20;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", printable(&self.source), self.format)?;
        match (self.unchanged, self.batch) {
            (true, _) => return writeln!(f, "unchanged since its last ingest, epoch {}", self.epoch),
            (false, Some(_)) => writeln!(f, "committed as epoch {}", self.epoch)?,
            (false, None) => writeln!(f, "nothing was committed, epoch {} answers", self.epoch)?,
        }
        tables(f, &self.tables)?;
        write!(f, "{}", self.derived)?;
        left_out(f, self)?;
        list(f, "skipped files", &self.skipped, |s| format!("{}: {}", s.path, s.reason))?;
        list(f, "warnings", &self.warnings, warning)?;
        list(f, "conflicts, by hashes of content", &self.conflicts, |conflict| {
            format!("{}: {} stays, {} gives way", conflict.table, conflict.stays, conflict.gives_way)
        })?;
        list(f, "attributes of objects that are not stored", &self.removed, |removed| {
            format!("{}: {} times", removed.attribute, grouped(removed.count))
        })?;
        list(f, "rejected rows", &self.rejects, |r| {
            let line = if r.line > 0 { format!(" line {}", r.line) } else { String::new() };
            format!("{}{line}: {}: {}; {}", r.file, r.code, r.reason, r.fix)
        })?;
        self.rejects_file.iter().try_for_each(|file| writeln!(f, "all rejects: {}", printable(file)))
    }
}

impl Display for BuildReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let filled: Vec<&TableReport> = self.tables.iter().filter(|table| table.kept > 0).collect();
        list(f, "derived tables", &filled, |table| format!("{}: {} rows", table.name, grouped(table.kept)))?;
        let gaps: Vec<&Coverage> = self.coverage.iter().filter(|coverage| coverage.unmapped > 0).collect();
        list(f, "values without a concept", &gaps, |gap| {
            let all = gap.mapped + gap.unmapped;
            format!("{}.{}: {} of {} rows", gap.table, gap.column, grouped(gap.unmapped), grouped(all))
        })
    }
}

/// A column of the table of tables: its name, and what it counts.
type Column = (&'static str, fn(&TableReport) -> u64);

/// So many of the columns are always shown; the others where they have something to say.
const ALWAYS: usize = 4;

const COLUMNS: [Column; 8] = [
    ("read", |table| table.read),
    ("kept", |table| table.kept),
    ("duplicates", |table| table.duplicates),
    ("rejected", |table| table.rejected),
    ("forgotten", |table| table.forgotten),
    ("superseded", |table| table.superseded),
    ("displaced", |table| table.displaced),
    ("conflicts", |table| table.conflicts),
];

fn tables(f: &mut Formatter<'_>, tables: &[TableReport]) -> fmt::Result {
    let (always, others) = COLUMNS.split_at(ALWAYS);
    let speaks = |(_, count): &&Column| tables.iter().any(|table| count(table) > 0);
    let columns = always.iter().chain(others.iter().filter(speaks));
    let width = tables.iter().map(|table| table.name.len()).chain([5]).max().unwrap_or_default();
    let mut lines = vec![format!("  {:<width$}", "table")];
    lines.extend(tables.iter().map(|table| format!("  {:<width$}", table.name)));
    for (name, count) in columns {
        let cells: Vec<String> = tables.iter().map(|table| grouped(count(table))).collect();
        let width = cells.iter().map(String::len).chain([name.len()]).max().unwrap_or_default();
        let cells = std::iter::once((*name).to_owned()).chain(cells);
        lines.iter_mut().zip(cells).for_each(|(line, cell)| *line = format!("{line}  {cell:>width$}"));
    }
    lines.iter().try_for_each(|line| writeln!(f, "{line}"))
}

fn left_out(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let mut by_table: Vec<(&str, Vec<&str>)> = Vec::new();
    for column in &report.left_out {
        match by_table.last_mut() {
            Some((table, columns)) if *table == column.table => columns.push(&column.column),
            _ => by_table.push((&column.table, vec![&column.column])),
        }
    }
    list(f, "columns left out", &by_table, |(table, columns)| format!("{table}: {}", columns.join(", ")))
}

fn warning(warning: &Warning) -> String {
    let column = warning.column.as_ref().map(|column| format!(".{column}")).unwrap_or_default();
    let lines: Vec<String> = warning.lines.iter().map(u64::to_string).collect();
    let lines = if lines.is_empty() { String::new() } else { format!(" (lines {}...)", lines.join(", ")) };
    let (table, code) = (&warning.table, warning.code);
    format!(
        "{table}{column}: {} times {code}: {}{lines}; {}",
        grouped(warning.count),
        code.rule(),
        code.fix()
    )
}

fn list<T>(f: &mut Formatter<'_>, title: &str, items: &[T], line: impl Fn(&T) -> String) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}:")?;
    for item in items.iter().take(SHOWN) {
        writeln!(f, "  {}", printable(&line(item)).replace('\n', " "))?;
    }
    if items.len() > SHOWN {
        writeln!(f, "  and {} more", items.len() - SHOWN)?;
    }
    Ok(())
}

/// `119986` as `119,986`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;
    use crate::report::{LeftOut, Reject, Removed, Skipped};

    fn report() -> Report {
        let table = |name: &str, read, kept| TableReport {
            read,
            kept,
            rejected: read - kept,
            ..TableReport::new(name)
        };
        let column = |column: &str| LeftOut { table: "omop.person".into(), column: column.into() };
        Report {
            source: "/data/omop".into(),
            format: "omop".into(),
            collection: Some("c1".into()),
            batch: Some(4),
            epoch: 4,
            unchanged: false,
            tables: vec![table("omop.person", 1_234_567, 1_234_566), table("omop.death", 3, 3)],
            rejects: vec![Reject {
                table: "omop.person".into(),
                file: "PERSON.csv".into(),
                line: 17,
                stage: Code::FieldCount.stage(),
                code: Code::FieldCount,
                reason: "17 fields instead of 18".into(),
                fix: Code::FieldCount.fix().into(),
            }],
            rejects_file: None,
            conflicts: Vec::new(),
            skipped: vec![Skipped { path: "__MACOSX/x".into(), reason: "junk".into() }],
            left_out: vec![column("a"), column("b")],
            derived: BuildReport::default(),
            removed: vec![Removed { attribute: "PatientName".into(), count: 1_234_566 }],
            warnings: vec![Warning {
                code: Code::UnreadableValue,
                table: "omop.person".into(),
                column: Some("birth_datetime".into()),
                count: 2,
                lines: vec![5, 9],
            }],
        }
    }

    #[test]
    fn a_report_reads_as_an_aligned_table_with_what_wants_attention_below() {
        let text = report().to_string();
        for line in [
            "committed as epoch 4",
            "  table             read       kept  duplicates  rejected",
            "  omop.person  1,234,567  1,234,566           0         1",
            "  omop.death           3          3           0         0",
            "  omop.person: a, b",
            "  __MACOSX/x: junk",
            "  PatientName: 1,234,566 times",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line:?} in\n{text}");
        }
        assert!(text.contains("PERSON.csv line 17: CAIM-I201: 17 fields instead of 18"));
        assert!(text.contains("omop.person.birth_datetime: 2 times CAIM-I301"));
    }

    #[test]
    fn columns_of_rare_fates_are_shown_where_there_are_some() {
        let mut report = report();
        assert!(!report.to_string().contains("superseded"));
        report.tables[1].superseded = 2;
        let text = report.to_string();
        assert!(
            text.contains("  omop.death           3          3           0         0           2\n"),
            "{text}"
        );
    }

    #[test]
    fn a_report_survives_json() {
        let json = serde_json::to_string(&report()).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report());
    }

    #[test]
    fn a_file_name_cannot_forge_a_line() {
        let mut report = report();
        report.skipped[0].path = "a\nrejected rows:".into();
        assert_eq!(report.to_string().lines().filter(|line| *line == "rejected rows:").count(), 1);
    }
}
