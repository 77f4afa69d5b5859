//! Numbers that cannot be: results outside what their scale defines, or beyond all that was ever recorded.
//!
//! A result counts where its LOINC code, and its UCUM unit if the range has one, are those of the range. OMOP results are
//! found by the vocabulary of their source.

use super::rules::{Place, Range};
use super::scan::{number, rows, text};
use super::{Checked, Look};
use crate::Result;
use crate::build::session::Session;

pub(super) const CLASS: &str = "value_plausible";

/// Where results are, and how they are joined with `ranges(place, code, unit, lo, hi)`.
const RESULTS: [(&str, &str, &str); 2] = [
    (
        "omop",
        "measurement",
        "SELECT m.place, count(*), count(*) FILTER (WHERE m.value_as_number NOT BETWEEN m.lo AND m.hi)
         FROM (SELECT DISTINCT concept_id, concept_code FROM omop.concept WHERE vocabulary_id = 'UCUM') u
         RIGHT JOIN (SELECT r.place, r.unit, r.lo, r.hi, o.value_as_number, o.unit_concept_id, o.unit_source_value
                     FROM {ranges}
                     JOIN (SELECT DISTINCT concept_id, concept_code FROM omop.concept WHERE vocabulary_id = 'LOINC') c
                       ON c.concept_code = r.code
                     JOIN omop.measurement o ON o.measurement_concept_id = c.concept_id
                     WHERE o.value_as_number IS NOT NULL) m ON u.concept_id = m.unit_concept_id
         WHERE m.unit = '' OR m.unit = coalesce(u.concept_code, m.unit_source_value)
         GROUP BY m.place",
    ),
    (
        "fhir",
        "observation",
        "SELECT r.place, count(*), count(*) FILTER (WHERE o.value_number NOT BETWEEN r.lo AND r.hi)
         FROM {ranges} JOIN fhir.observation o ON o.code = r.code
         WHERE o.code_system = 'http://loinc.org' AND o.value_number IS NOT NULL
           AND (r.unit = '' OR r.unit = o.value_unit)
         GROUP BY r.place",
    ),
];

/// One check a range and table of results.
pub(super) async fn plausible(look: Look<'_>, session: &Session) -> Result<Vec<Checked>> {
    let (ranges, class) = (&look.rules.range, look.rules.class(CLASS)?);
    let mut done = Vec::new();
    for (schema, table, select) in
        RESULTS.iter().filter(|(schema, table, _)| look.models.table(schema, table).is_ok())
    {
        let mut counts = vec![(0, 0); ranges.len()];
        for batch in rows(session, &select.replace("{ranges}", &relation(ranges))).await? {
            for row in 0..batch.num_rows() {
                let place = usize::try_from(number(&batch, 0, row)).unwrap_or(usize::MAX);
                if let Some(count) = counts.get_mut(place) {
                    *count = (number(&batch, 1, row), number(&batch, 2, row));
                }
            }
        }
        let title = format!("{schema}.{table}");
        for (range, (checked, failed)) in ranges.iter().zip(counts) {
            let span = span(range);
            let mut about = class.about(&Place::column(&title, &range.says).with(&span));
            about.name = format!("{CLASS}:{title}:{}", range.loinc.join("+"));
            done.push(about.counted(checked, failed));
        }
    }
    Ok(done)
}

fn span(range: &Range) -> String {
    let Range { lo, hi, unit, .. } = range;
    let unit = unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
    format!("between {lo} and {hi}{unit}")
}

/// The ranges as a relation of SQL: one row a LOINC code.
fn relation(ranges: &[Range]) -> String {
    let row = |(place, range): (usize, &Range)| {
        let Range { unit, lo, hi, .. } = range;
        let unit = text(unit.as_deref().unwrap_or_default());
        let rows =
            range.loinc.iter().map(|code| format!("({place}, {}, {unit}, {lo:?}, {hi:?})", text(code)));
        rows.collect::<Vec<String>>().join(", ")
    };
    let rows: Vec<String> = ranges.iter().enumerate().map(row).collect();
    format!("(VALUES {}) AS r(place, code, unit, lo, hi)", rows.join(", "))
}
