//! What is refused by the statement alone: by the rule that is named, with the same words in both twins, for nothing.

use std::time::{Duration, Instant};

use caim_sql::Code;
use caim_sql::lower::Settings;

use crate::lab::{Lab, Who};
use crate::report::Verdict;
use crate::world::Victim;

/// The reasons of the table of attacks, and the codes that stand for them.
const REASONS: &[(&str, Code)] = &[
    ("no_aggregate", Code::NoAggregate),
    ("identifier_projected", Code::IdentifierProjected),
    ("identifier_filter", Code::IdentifierFilter),
    ("identifier_grouped", Code::IdentifierGrouped),
    ("identifier_in_expression", Code::IdentifierInExpression),
    ("limit_below_aggregate", Code::LimitBelowAggregate),
    ("values_relation", Code::ValuesRelation),
    ("function_not_allowed", Code::FunctionNotAllowed),
    ("aggregate_not_allowed", Code::AggregateNotAllowed),
    ("expression_not_allowed", Code::ExpressionNotAllowed),
    ("column_not_allowed", Code::ColumnNotAllowed),
    ("expression_in_aggregate", Code::ExpressionInAggregate),
    ("scalar_subquery", Code::ScalarSubquery),
    ("window", Code::Window),
    ("set_operation", Code::SetOperation),
    ("join_not_in_graph", Code::JoinNotInGraph),
    ("grid", Code::Grid),
    ("volatile_function", Code::VolatileFunction),
    ("statement", Code::Statement),
];

/// Row of the table, its reason, and its statements.
const ROWS: &[(&str, &str, &[&str])] = &[
    ("A001", "no_aggregate", &["SELECT * FROM patient"]),
    ("A002", "identifier_projected", &["SELECT patient_id FROM patient LIMIT 1"]),
    ("A003", "identifier_filter", &["SELECT sex, birth_year FROM patient WHERE patient_id = 'P000017'"]),
    ("A005", "identifier_grouped", &["SELECT patient_id, count(*) FROM imaging_study GROUP BY patient_id"]),
    ("A006", "identifier_grouped", &["SELECT study_uid, count(*) FROM imaging_series GROUP BY study_uid"]),
    (
        "A007",
        "limit_below_aggregate",
        &["SELECT count(*) FROM (SELECT patient_id FROM patient ORDER BY birth_year LIMIT 1) t"],
    ),
    (
        "A009",
        "identifier_filter",
        &["SELECT count(*) FROM patient WHERE patient_id IN \
           ('P1','P2','P3','P4','P5','P6','P7','P8','P9','P10','P11')"],
    ),
    ("A010", "identifier_filter", &["SELECT count(*) FROM patient WHERE patient_id < 'P000100'"]),
    (
        "A011",
        "values_relation",
        &["SELECT count(*) FROM patient p JOIN (VALUES ('P1'),('P2')) v(id) ON p.patient_id = v.id"],
    ),
    (
        "A012",
        "identifier_in_expression",
        &["SELECT count(*) FROM imaging_study WHERE substr(study_uid,1,20) = '1.2.840.113619.2.55'"],
    ),
    ("A013", "identifier_in_expression", &["SELECT count(*) FROM patient WHERE md5(patient_id) LIKE '00%'"]),
    ("A014", "function_not_allowed", &["SELECT count(*) FROM imaging_study s WHERE file_row_index() = 5"]),
    ("A015", "function_not_allowed", &["SELECT input_file_name(), count(*) FROM imaging_study GROUP BY 1"]),
    ("A047", "aggregate_not_allowed", &["SELECT sex FROM patient GROUP BY sex HAVING max(birth_year)=2019"]),
    (
        "A050",
        "identifier_in_expression",
        &["SELECT count(*) FROM patient WHERE 1/(CASE WHEN patient_id='P17' THEN 0 ELSE 1 END)=1"],
    ),
    ("A052", "column_not_allowed", &["SELECT count(*) FROM patient WHERE CAST(note AS INT) > 0"]),
    ("A053", "expression_in_aggregate", &["SELECT sum(power(10.0, birth_year-1700)) FROM patient"]),
    (
        "A055",
        "scalar_subquery",
        &["SELECT count(*) FROM patient WHERE (SELECT birth_year FROM patient WHERE zip3='461') = 1931"],
    ),
    (
        "A056",
        "function_not_allowed",
        &["SELECT count(*) FROM patient WHERE CASE WHEN birth_year=1931 \
           THEN length(repeat('x',100000000))>0 ELSE true END"],
    ),
    ("A059", "statement", &["EXPLAIN ANALYZE SELECT count(*) FROM condition WHERE icdo3_topography='C38.0'"]),
    ("A062", "statement", &["SHOW ALL"]),
    ("A063", "statement", &["SET datafusion.explain.show_statistics = true"]),
    (
        "A065",
        "column_not_allowed",
        &["SELECT count(*) FROM imaging_series WHERE manufacturer_free_text IS NOT NULL \
           GROUP BY manufacturer_free_text"],
    ),
    ("A067", "aggregate_not_allowed", &["SELECT min(birth_year), max(birth_year) FROM patient"]),
    (
        "A068",
        "aggregate_not_allowed",
        &[
            "SELECT array_agg(birth_year), string_agg(zip3,','), first_value(birth_year) FROM patient",
            "SELECT string_agg(zip3,',') FROM patient",
            "SELECT first_value(birth_year) FROM patient",
        ],
    ),
    (
        "A069",
        "aggregate_not_allowed",
        &[
            "SELECT nth_value(birth_year,17), bit_xor(birth_year) FROM patient GROUP BY sex",
            "SELECT bit_xor(birth_year) FROM patient GROUP BY sex",
        ],
    ),
    (
        "A073",
        "expression_in_aggregate",
        &["SELECT sum(weight_kg*weight_kg), sum(weight_kg), count(*) FROM patient"],
    ),
    (
        "A074",
        "expression_in_aggregate",
        &["SELECT sum(CASE WHEN birth_year=1931 THEN 1e12 ELSE 0 END + weight_kg) FROM patient"],
    ),
    (
        "A076",
        "aggregate_not_allowed",
        &["SELECT corr(weight_kg, tumour_mm), regr_slope(weight_kg,tumour_mm) FROM patient WHERE zip3='999'"],
    ),
    ("A077", "window", &["SELECT count(*) OVER (PARTITION BY patient_id) FROM imaging_study"]),
    (
        "A081",
        "join_not_in_graph",
        &["SELECT count(*) FROM patient a CROSS JOIN patient b WHERE a.birth_year=1931"],
    ),
    (
        "A082",
        "join_not_in_graph",
        &["SELECT count(*) FROM patient a JOIN patient b ON a.zip3=b.zip3 AND a.birth_year=b.birth_year"],
    ),
    (
        "A083",
        "join_not_in_graph",
        &["SELECT count(*) FROM patient LEFT JOIN condition ON condition.icdo3_topography='C38.0'"],
    ),
    (
        "A085",
        "grid",
        &["SELECT count(*) FROM imaging_study WHERE study_time = TIMESTAMP '2021-03-04 10:22:31'"],
    ),
    (
        "A086",
        "grid",
        &["SELECT date_bin(INTERVAL '1 second', study_time), count(*) FROM imaging_study GROUP BY 1"],
    ),
    (
        "A094",
        "volatile_function",
        &["SELECT count(*) FROM patient WHERE ingest_ts > now() - INTERVAL '1 hour'"],
    ),
    (
        "A095",
        "volatile_function",
        &[
            "SELECT count(*) FROM patient WHERE random() < 0.5",
            "SELECT count(*) FROM patient WHERE uuid() = 'x'",
        ],
    ),
    (
        "A096",
        "statement",
        &[
            "COPY (SELECT * FROM patient) TO 'x.csv'",
            "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/etc'",
            "INSERT INTO patient VALUES (1)",
            "CREATE VIEW v AS SELECT * FROM patient",
            "CREATE FUNCTION f(INT) RETURNS INT RETURN $1",
            "PREPARE p AS SELECT 1",
            "EXECUTE p",
            "DELETE FROM patient",
            "DROP TABLE patient",
        ],
    ),
    (
        "A126",
        "join_not_in_graph",
        &["SELECT count(*) FROM imaging_study s WHERE EXISTS (SELECT 1 FROM imaging_study o \
           WHERE o.collection = s.collection AND o.modality = 'X1')"],
    ),
];

/// Refusals where several rules, or an answer that says the same in both twins, will do.
const EITHER: &[(&str, &[Code], &str)] = &[
    (
        "A024",
        &[Code::AggregateNotAllowed],
        "SELECT coalesce(sum(1),0), coalesce(min(1),-1) FROM condition WHERE icdo3_topography='C38.0'",
    ),
    ("A051", &[Code::ExpressionNotAllowed], "SELECT count(*) FROM patient WHERE 1/(birth_year-1931)>=0"),
    (
        "A069",
        &[Code::AggregateNotAllowed, Code::UnknownName],
        "SELECT any_value(zip3) FROM patient GROUP BY sex",
    ),
    (
        "A095",
        &[Code::VolatileFunction, Code::Unsupported, Code::Syntax],
        "SELECT count(*) FROM patient TABLESAMPLE (10)",
    ),
    (
        "A062",
        &[Code::Statement, Code::UnknownName, Code::TableNotAllowed],
        "SELECT * FROM information_schema.df_settings",
    ),
    (
        "A108",
        &[Code::ExpressionNotAllowed, Code::FunctionNotAllowed],
        "SELECT count(*) FROM imaging_series WHERE CAST(manufacturer AS INT) = 1",
    ),
];

/// Every statement of the tables.
pub(crate) fn statements() -> impl Iterator<Item = &'static str> {
    let rows = ROWS.iter().flat_map(|(_, _, statements)| statements.iter().copied());
    rows.chain(EITHER.iter().map(|(_, _, sql)| *sql))
}

/// All rows.
pub(crate) fn run(lab: &Lab) {
    for (id, reason, statements) in ROWS {
        let code = REASONS.iter().find(|(name, _)| name == reason).map(|(_, code)| *code).unwrap();
        assert_eq!(code.name(), *reason);
        statements.iter().for_each(|sql| lab.report.add(id, refused(lab, sql, &[code])));
    }
    for (id, codes, sql) in EITHER {
        lab.report.add(id, refused(lab, sql, codes));
    }
    set_operation(lab);
    oversized(lab);
}

fn refused(lab: &Lab, sql: &str, codes: &[Code]) -> Verdict {
    let (with, without) = Lab::twins(Victim::Plain);
    let mut texts = Vec::new();
    for who in [with, without] {
        let site = lab.site(who);
        site.answered();
        match site.hub.prepare(sql, &Settings::default()) {
            Ok(_) => return Verdict::Failed(format!("{sql}: is not refused")),
            Err(refusal) if !codes.contains(&refusal.code) => {
                return Verdict::Failed(format!(
                    "{sql}: {} ({}), not {codes:?}",
                    refusal.code, refusal.reason
                ));
            }
            Err(refusal) => texts.push(refusal.to_string()),
        }
        assert!(site.answered().is_empty(), "a refusal asked a node");
    }
    Verdict::of(
        texts[0] == texts[1],
        format!("refused by {}: {sql}", texts[0].lines().next().unwrap_or_default()),
    )
}

/// EXCEPT is an anti-join or refused; here it may be either, but by that rule.
fn set_operation(lab: &Lab) {
    let sql = "SELECT count(*) FROM (SELECT patient_id FROM patient EXCEPT SELECT patient_id FROM condition \
               WHERE icdo3_topography='C38.0') t";
    let site = lab.site(Who::Everybody);
    let verdict = match site.hub.prepare(sql, &Settings::default()) {
        Ok(_) => Verdict::Passed("lowered to an anti-join".into()),
        Err(refusal) => {
            Verdict::of(refusal.code == Code::SetOperation, format!("refused: {}", refusal.reason))
        }
    };
    lab.report.add("A079", verdict);
}

/// Statements that are too large are refused at once and leave no memory behind.
fn oversized(lab: &Lab) {
    let items: Vec<String> = (0..100_000).map(|i| format!("'v{i}'")).collect();
    let joins: String =
        (1..64).map(|i| format!(" JOIN patient p{i} ON p0.patient_id = p{i}.patient_id")).collect();
    let statements = [
        format!("SELECT count(*) FROM patient WHERE sex IN ({})", items.join(",")),
        format!("SELECT count(*) FROM patient WHERE {}sex = 'f'{}", "(".repeat(500), ")".repeat(500)),
        format!("SELECT count(*) FROM patient p0{joins}"),
    ];
    let site = lab.site(Who::Everybody);
    let before = peak_memory_mib();
    for sql in statements {
        let started = Instant::now();
        let refused = site.hub.prepare(&sql, &Settings::default()).err().map(|r| r.code);
        let quick = started.elapsed() < Duration::from_secs(1);
        let grown = peak_memory_mib().saturating_sub(before);
        let start: String = sql.chars().take(60).collect();
        let says = format!("{start}...: {refused:?} after {:?}, {grown} MiB", started.elapsed());
        lab.report.add("A097", Verdict::of(refused.is_some() && quick && grown < 100, says));
    }
}

/// The most memory that the process ever held.
fn peak_memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}
