//! What must be the same: repeats and rephrasings, other askers, the twins' metadata.

use caim_engine::{Answer, NodeQuery};
use caim_sql::lower::Settings;

use crate::lab::{Lab, Who};
use crate::report::Verdict;
use crate::site::{Ask, Site, asker, models, policy, run};
use crate::world::Victim;

/// Repeats first, then metadata.
pub(crate) fn check(lab: &Lab) {
    let site = Site::new(&lab.people(Who::Everybody), policy());
    repeats(lab, &site);
    rephrasings(lab, &site);
    other_asker(lab, &site);
    metadata(lab);
    hand_made(lab, &site);
}

/// The values of an answer, whatever its columns are called.
fn cells(answer: &Answer) -> String {
    datafusion::arrow::util::pretty::pretty_format_batches(&answer.batches)
        .unwrap()
        .to_string()
        .lines()
        .skip(3)
        .flat_map(|line| line.chars().filter(|c| !matches!(c, ' ' | '-' | '+')).collect::<Vec<_>>())
        .collect()
}

fn repeats(lab: &Lab, site: &Site) {
    let ask = Ask::new("SELECT zip3, count(DISTINCT patient_id) FROM patient GROUP BY zip3");
    let first = cells(&site.ask("again", &ask).unwrap());
    let times = lab.so_many(40, 1_000);
    let same = (0..times).all(|_| cells(&site.ask("again", &ask).unwrap()) == first);
    let paid = site.answered().iter().filter(|a| a.rho > 0.0).count();
    lab.report.add(
        "A037",
        Verdict::of(same && paid == 1, format!("{times} repeats, one answer, charged {paid} time")),
    );
    let ties = "SELECT count(*) FROM (SELECT patient_id, ROW_NUMBER() OVER (PARTITION BY patient_id \
                ORDER BY diagnosis_date) AS n FROM condition) t WHERE n = 1";
    match site.ask("again", &Ask::new(ties)) {
        Ok(first) => {
            let same = (0..20).all(|_| cells(&site.ask("again", &Ask::new(ties)).unwrap()) == cells(&first));
            lab.report.add("A115", Verdict::of(same, "a first row among ties: the same every time"));
        }
        Err(r) => {
            lab.report.add("A115", Verdict::Waits(format!("ROW_NUMBER() = 1 is not offered yet: {}", r.code)))
        }
    }
}

/// Statements that mean the same are answered alike and free, or are charged.
fn rephrasings(lab: &Lab, site: &Site) {
    let count = "SELECT count(DISTINCT patient_id) FROM patient WHERE";
    let ranges = [
        "birth_year >= 1950",
        "NOT birth_year < 1950",
        "birth_year > 1949",
        "birth_year BETWEEN 1950 AND 9999",
        "1=1 AND birth_year >= 1950",
    ]
    .map(|range| format!("{count} {range}"));
    alike(lab, site, "A038", "ranges", &ranges, 4);
    let joins = [
        "SELECT count(DISTINCT p.patient_id) FROM patient p JOIN imaging_study s ON p.patient_id = s.patient_id \
         WHERE s.modality = 'MR'",
        "SELECT count(DISTINCT s.patient_id) FROM imaging_study s JOIN patient p ON p.patient_id = s.patient_id \
         WHERE s.modality = 'MR'",
        "WITH t AS (SELECT p.patient_id FROM patient p JOIN imaging_study s ON p.patient_id = s.patient_id \
         WHERE s.modality = 'MR') SELECT count(DISTINCT patient_id) FROM t",
        "SELECT count(DISTINCT patient_id) FROM (SELECT p.patient_id FROM patient p JOIN imaging_study s \
         USING (patient_id) WHERE s.modality = 'MR') t",
        "SELECT count(DISTINCT patient_id) FROM patient WHERE patient_id IN \
         (SELECT patient_id FROM imaging_study WHERE modality = 'MR')",
        "SELECT count(DISTINCT patient_id) FROM patient p WHERE EXISTS \
         (SELECT 1 FROM imaging_study s WHERE s.patient_id = p.patient_id AND s.modality = 'MR')",
    ]
    .map(str::to_owned);
    alike(lab, site, "A039", "joins, CTE, subquery, IN and EXISTS", &joins, 2);
    let counts = ["count(*)", "count(1)", "sum(1)", "count(sex)", "count(DISTINCT patient_id)"]
        .map(|c| format!("SELECT {c} FROM patient WHERE birth_year > 1960"));
    alike(lab, site, "A041", "ways to count", &counts, 2);
}

/// Asks for one project; a free answer must be one that was paid for, cell by cell. At least so many are the first.
fn alike(lab: &Lab, site: &Site, id: &str, what: &str, statements: &[String], least: usize) {
    let project = format!("{id}-alike");
    let mut paid: Vec<String> = Vec::new();
    let (mut free, mut honest) = (1, true);
    for sql in statements {
        site.answered();
        let shown =
            cells(&site.ask(&project, &Ask::new(sql).noise(6_000)).unwrap_or_else(|r| panic!("{sql}: {r}")));
        let charged = site.answered().iter().any(|a| a.rho > 0.0);
        if charged {
            paid.push(shown);
        } else {
            honest &= paid.contains(&shown);
            free += 1;
        }
    }
    let says = format!("{what}: {free} of {} are one answer, the others are charged", statements.len());
    lab.report.add(id, Verdict::of(honest && free >= least, says));
}

fn other_asker(lab: &Lab, site: &Site) {
    let asks: Vec<Ask> = (0..8)
        .map(|n| {
            Ask::new(&format!(
                "SELECT count(DISTINCT patient_id) FROM patient WHERE birth_year > {}",
                1910 + n
            ))
        })
        .collect();
    let answer = |project: &str| -> (Vec<String>, f64) {
        site.answered();
        let shown = asks.iter().map(|ask| cells(&site.ask(project, ask).unwrap())).collect();
        (shown, site.answered().iter().map(|a| a.rho).sum())
    };
    let (first, second) = (answer("a"), answer("b"));
    let says = format!("the other project paid {:.3} and got the same {} answers", second.1, asks.len());
    lab.report.add("A132", Verdict::of(first == second && second.1 > 0.0, says));
}

/// What is said without data is the same in both twins.
fn metadata(lab: &Lab) {
    let (with, without) = Lab::twins(Victim::Plain);
    let texts = [
        ("A060", "EXPLAIN SELECT count(*) FROM condition"),
        ("A061", "SELECT * FROM information_schema.tables"),
        ("A109", "EXPLAIN SELECT count(*) FROM condition WHERE icdo3_topography IN ('C38.0', 'C34.1')"),
    ];
    for (id, sql) in texts {
        let shown =
            [with, without].map(|who| lab.site(who).ask("metadata", &Ask::new(sql)).map(|a| cells(&a)));
        let clean = shown[0].as_ref().is_ok_and(|text| !text.contains(".parquet") && !text.contains("rows="));
        lab.report
            .add(id, Verdict::of(shown[0] == shown[1] && clean, format!("the same in both twins: {sql}")));
    }
    let listed = [with, without].map(|who| {
        let tables = lab.site(who).hub.tables();
        tables.iter().map(|t| format!("{}.{} {} {}", t.schema, t.name, t.kind, t.arrow)).collect::<Vec<_>>()
    });
    lab.report
        .add("A064", Verdict::of(listed[0] == listed[1], "the listed tables are the same in both twins"));
    let costs = [with, without].map(|who| {
        let ask = Ask::new(
            "SELECT modality, count(*) FROM imaging_study WHERE collection = 'edge' GROUP BY modality",
        );
        let summary = lab.site(who).ask("counters", &ask).unwrap().summary;
        serde_json::to_string(&summary).unwrap()
    });
    lab.report.add(
        "A066",
        Verdict::of(costs[0] == costs[1], "what is said beside an answer is the same in both twins"),
    );
}

/// A node executes nothing that is sent to it: it reads the closed form, and validates it.
fn hand_made(lab: &Lab, site: &Site) {
    let plans = [
        r#"{"table_scan": "patient"}"#.to_owned(),
        r#"{"query": "SELECT * FROM patient"}"#.to_owned(),
        r#"{"path": "warehouse/data/1.parquet"}"#.to_owned(),
    ];
    let unread = plans.iter().all(|plan| serde_json::from_str::<NodeQuery>(plan).is_err());
    site.answered();
    site.ask("hand", &Ask::new("SELECT sex, count(DISTINCT patient_id) FROM patient GROUP BY sex")).unwrap();
    let good = site.answered().remove(0).query;
    let forged =
        [("\"sex\"", "\"patient_id\""), ("\"sex\"", "\"note\""), ("\"patient\"", "\"../data/1.parquet\"")];
    let refused = forged.iter().all(|(old, new)| {
        let text = serde_json::to_string(&good).unwrap().replace(old, new);
        let Ok(query) = serde_json::from_str(&text) else { return true };
        let (query_id, deadline_ms) = ("q".to_owned(), 60_000);
        let asked =
            NodeQuery { query, models: models().version(), asker: asker("hand"), query_id, deadline_ms };
        run(site.node.answer(asked)).is_err()
    });
    lab.report.add(
        "A088",
        Verdict::of(unread && refused, "hand-made plans and forged columns are refused by the node"),
    );
    let prepared = site.hub.prepare("SET caim.project = 'other'", &Settings::default());
    assert!(prepared.is_ok());
    lab.report.add("A089", Verdict::Waits("requesters are not signed yet: the hub names projects".into()));
}
