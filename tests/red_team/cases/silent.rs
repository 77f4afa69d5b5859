//! What is not released: nobody, a few, and one too few look the same, byte for byte.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::util::pretty::pretty_format_batches;

use caim_engine::Answer;

use crate::lab::{Lab, Who};
use crate::report::Verdict;
use crate::site::{Ask, Site, generous};

/// Diagnoses of no patient, of three, and of nine.
const FEW: [&str; 3] = ["C77.9", "C38.0", "C70.1"];

/// Row of the table and a statement over a diagnosis.
const SHAPES: &[(&str, &str)] = &[
    ("A016", "SELECT count(DISTINCT patient_id) FROM condition WHERE icdo3_topography = '{}'"),
    ("A021", "SELECT count(DISTINCT patient_id), count(*) FROM condition WHERE icdo3_topography = '{}'"),
    ("A022", "SELECT CASE WHEN count(*)=0 THEN 1 ELSE 0 END FROM condition WHERE icdo3_topography = '{}'"),
    (
        "A023",
        "SELECT count(*) FROM patient WHERE EXISTS (SELECT 1 FROM condition c \
         WHERE c.patient_id=patient.patient_id AND c.icdo3_topography='{}')",
    ),
    (
        "A058",
        "SELECT icdo3_morphology, count(*) FROM condition WHERE icdo3_topography = '{}' GROUP BY icdo3_morphology",
    ),
    (
        "A058",
        "SELECT avg(p.weight_kg), sum(p.tumour_mm) FROM patient p JOIN condition c USING (patient_id) \
         WHERE c.icdo3_topography = '{}'",
    ),
    ("A058", "SELECT DISTINCT icdo3_morphology FROM condition WHERE icdo3_topography = '{}'"),
];

/// All of them, at a node whose budget does not end.
pub(crate) fn run(lab: &Lab) {
    let site = Site::new(&lab.people(Who::Everybody), generous());
    for (id, shape) in SHAPES {
        // Three projects, so that the same is left of each budget.
        let ask = |few: &&str| site.ask(few, &Ask::new(&shape.replace("{}", few))).unwrap();
        let answers: Vec<Answer> = FEW.iter().map(ask).collect();
        let same = answers.iter().all(|a| {
            wire(a) == wire(&answers[0])
                && a.batches.len() == answers[0].batches.len()
                && a.summary == answers[0].summary
        });
        lab.report.add(id, Verdict::of(same, format!("n = 0, 3 and 9 give the same bytes: {shape}")));
    }
    small_cells(lab, &site);
    having_and_order(lab, &site);
}

/// An answer as it goes over the wire.
fn wire(answer: &Answer) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &answer.schema).unwrap();
    answer.batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

/// Cells of few patients do not leave, whatever they are counted by.
fn small_cells(lab: &Lab, site: &Site) {
    let heart =
        site.ask("small", &Ask::new("SELECT count(*) FROM imaging_series WHERE body_part='HEART'")).unwrap();
    let hidden = heart.batches[0].column(0).is_null(0);
    lab.report.add("A018", Verdict::of(hidden, "800 series of two patients are not released"));
    let rare = "SELECT icdo3_morphology, count(*) FROM condition GROUP BY 1";
    let names = first_column(&site.ask("small", &Ask::new(rare)).unwrap());
    let common = !names.is_empty() && names.iter().all(|m| m.starts_with("81"));
    lab.report
        .add("A017", Verdict::of(common, format!("{} morphologies are released, all common", names.len())));
    let fine = "SELECT sex, birth_year, zip3, modality, count(*) FROM patient JOIN imaging_study USING(patient_id) \
                GROUP BY 1,2,3,4";
    let rows: usize = site.ask("small", &Ask::new(fine)).unwrap().batches.iter().map(|b| b.num_rows()).sum();
    lab.report.add("A020", Verdict::of(rows == 0, format!("{rows} of the fine cells are released")));
    let distinct =
        site.ask("small", &Ask::new("SELECT DISTINCT birth_year, sex, zip3 FROM patient")).unwrap();
    let paid = site.answered().last().is_some_and(|a| a.rho > 0.0);
    let rows: usize = distinct.batches.iter().map(|b| b.num_rows()).sum();
    let cohort = rows == 0 || first_column(&distinct).iter().all(|year| !year.is_empty());
    lab.report
        .add("A004", Verdict::of(paid && cohort, format!("charged; {rows} rows of at least k patients")));
    let filled = "SELECT avg(weight_kg), count(*) FROM patient WHERE zip3 = '400'";
    let batch = site.ask("small", &Ask::new(filled)).unwrap().batches.remove(0);
    let only_count = batch.column(0).is_null(0) && batch.column(1).is_valid(0);
    lab.report.add(
        "A125",
        Verdict::of(only_count, "a mean of 3 values is hidden beside the count of its 60 patients"),
    );
}

/// HAVING, ORDER BY and LIMIT see released values.
fn having_and_order(lab: &Lab, site: &Site) {
    let ask = |sql: &str| site.ask("order", &Ask::new(sql)).unwrap();
    let having = "SELECT modality FROM imaging_study GROUP BY modality HAVING count(DISTINCT patient_id) BETWEEN 1 AND 9";
    let rows = first_column(&ask(having)).len();
    lab.report.add("A046", Verdict::of(rows == 0, "HAVING over released values finds no small cell"));
    let rarest = first_column(&ask(
        "SELECT icdo3_morphology FROM condition GROUP BY 1 ORDER BY count(DISTINCT patient_id) ASC LIMIT 5",
    ));
    let common = rarest.iter().all(|m| m.starts_with("81"));
    lab.report.add("A048", Verdict::of(common, "the rarest released are common"));
    let sorted = first_column(&ask(
        "SELECT modality, count(*) c FROM imaging_study GROUP BY 1 ORDER BY avg(weight_kg) DESC",
    ));
    let shown =
        ask("SELECT modality, count(*) c, avg(weight_kg) a FROM imaging_study GROUP BY 1 ORDER BY a DESC");
    let same = sorted == first_column(&shown) && !sorted.is_empty();
    lab.report.add("A049", Verdict::of(same, "sorted by the released average"));
    let window =
        "SELECT modality, lag(count(*)) OVER (ORDER BY modality) FROM imaging_study GROUP BY modality";
    let verdict = match site.ask("order", &Ask::new(window)) {
        Ok(answer) => {
            let counts =
                ask("SELECT modality, count(*) FROM imaging_study GROUP BY modality ORDER BY modality");
            let windowed = first_column(&answer).len() == first_column(&counts).len();
            Verdict::of(windowed, "a window over released cells, at the hub")
        }
        Err(refusal) => Verdict::of(refusal.code == caim_sql::Code::Window, refusal.reason),
    };
    lab.report.add("A078", verdict);
}

/// The first column as text.
pub(crate) fn first_column(answer: &Answer) -> Vec<String> {
    let text = |batch: &datafusion::arrow::array::RecordBatch| -> Vec<String> {
        match batch.column(0).as_string_opt::<i32>() {
            Some(column) => column.iter().map(|v| v.unwrap_or_default().to_owned()).collect(),
            None => pretty_format_batches(std::slice::from_ref(batch))
                .unwrap()
                .to_string()
                .lines()
                .skip(3)
                .take(batch.num_rows())
                .map(str::to_owned)
                .collect(),
        }
    };
    answer.batches.iter().flat_map(text).collect()
}
