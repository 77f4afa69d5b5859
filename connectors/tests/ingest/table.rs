//! Clinical tables by a mapping file.

use caim_connectors::{Code, Format};

use crate::fixture::{Node, real, rejected, table, warned};

/// The worked example of the documentation.
const LYMPH_NODE: &str = include_str!("../../../docs/tables/lymph_node.toml");

const MAPPING: &str = r#"
files = ["tumours*"]
patient = "Pat-Nr"
dates = "dd/mm/yyyy"
decimal_comma = true

[[table]]
name = "tumor"
key = ["Pat-Nr", "Nr"]
[table.columns]
tumor_date = { column = "Datum" }
tumor_size_maximum_dimension = { column = "Größe" }
tumor_is_index = { column = "Index", values = { ja = "true", nein = "false" } }

[[table]]
name = "histologic_grade"
[table.columns.histologic_grade_value_as_concept]
column = "Grad"
values = { G1 = "EUCAIM:COM1002679", G3 = "EUCAIM:COM1002690" }
"#;

const SHEET: &str = "\u{feff}Pat-Nr;Nr;Datum;Größe;Index;Grad;Notiz\r\n\
    A;1;17/08/1984;1.012,5;ja;G1;x\r\n\
    A;2;31/02/1984;7,25;vielleicht;;x\r\n\
    ;3;01/01/1990;1,0;ja;G1;x\r\n\
    B;1;1984-08-17;;nein;G9;x\r\n\
    C;1;;;;;x\r\n";

#[test]
fn a_sheet_of_a_spreadsheet_comes_in_as_its_mapping_says() {
    let mut node = Node::new();
    node.options.tables = Some(node.source("tables"));
    node.write("tables/tumours.toml", MAPPING);
    let report = node.ingest(&node.write("tumours-2024.csv", SHEET));
    assert_eq!(report.format, "table");
    let counts = table(&report, "table.tumours-2024");
    assert_eq!((counts.read, counts.kept), (5, 4));
    assert_eq!(rejected(&report), [(4, Code::BadKey)]);
    let columns = ["tumor_date", "tumor_size_maximum_dimension", "tumor_is_index"];
    assert_eq!(
        node.cells("eucaim.tumor", &columns),
        [["-", "-", "false"], ["-", "7.25", "-"], ["1984-08-17", "1012.5", "true"]]
    );
    let columns = ["histologic_grade_value_as_concept", "histologic_grade_value_as_concept_original"];
    assert_eq!(node.cells("eucaim.histologic_grade", &columns), [["-", "G9"], ["EUCAIM:COM1002679", "G1"]]);
    let unmapped: Vec<_> = report.warnings.iter().filter(|w| w.code == Code::UnmappedValue).collect();
    let unmapped: Vec<_> =
        unmapped.iter().map(|w| (w.column.as_deref().unwrap(), w.lines.as_slice())).collect();
    assert_eq!(unmapped, [("Grad", &[5][..]), ("Index", &[3][..])]);
    let unread = report.warnings.iter().find(|w| w.code == Code::UnreadableValue).unwrap();
    assert_eq!((unread.column.as_deref(), unread.lines.as_slice()), (Some("Datum"), &[3, 5][..]));
    assert!(report.left_out.iter().any(|left_out| left_out.column == "Notiz"));
}

#[test]
fn a_mapping_beside_its_table_is_found_and_a_changed_one_reads_it_again() {
    let node = Node::new();
    let source = node.write("tumours.csv", SHEET);
    let mapping = node.write("tumours.toml", MAPPING);
    let first = node.ingest(&source);
    assert!(node.ingest(&source).unchanged);
    std::fs::write(mapping, MAPPING.replace("G3 =", "G9 =")).unwrap();
    let second = node.ingest(&source);
    assert!(!second.unchanged);
    assert_eq!((warned(&first, Code::UnmappedValue), warned(&second, Code::UnmappedValue)), (2, 1));
    assert_eq!(node.count("eucaim.histologic_grade"), 2, "they take the place of the old rows");
}

#[test]
fn what_is_wrong_with_a_mapping_is_named_before_a_row_is_read() {
    let mut node = Node::new();
    node.options.format = Format::Table;
    let source = node.write("tumours.csv", SHEET);
    assert_eq!(node.refusal(&source), Code::TableMapping, "there is none");
    let faults = [
        ("patient = ", "pateint = ", Code::TableMapping, "pateint"),
        ("tumor_date", "tumor_dat", Code::TableMapping, "the nearest is tumor_date"),
        ("EUCAIM:COM1002690", "EUCAIM:CLIN1000060", Code::TableMapping, "EUCAIM:CLIN1000060"),
        ("name = \"tumor\"", "name = \"tumour\"", Code::TableMapping, "tumour"),
        ("{ column = \"Datum\" }", "{ column = \"Datum\", value = \"x\" }", Code::TableMapping, "one of"),
        ("\"Datum\"", "\"Date\"", Code::MissingColumn, "Date"),
    ];
    for (right, wrong, code, said) in faults {
        node.write("tumours.toml", MAPPING.replace(right, wrong));
        let error = node.try_ingest(&source).unwrap_err();
        assert_eq!((error.code(), node.epoch()), (code, 0), "{wrong}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn the_worked_example_of_the_documentation_brings_686_patients_into_five_tables() {
    let Some(source) = real("onco/lymph_node.csv") else { return };
    let mut node = Node::new();
    node.options.tables = Some(node.source("tables"));
    node.write("tables/lymph_node.toml", LYMPH_NODE);
    let report = node.ingest(&source);
    assert_eq!((table(&report, "table.lymph_node").kept, report.has_rejects()), (686, false));
    assert!(
        report.warnings.iter().all(|warning| warning.code != Code::UnmappedValue),
        "{:?}",
        report.warnings
    );
    for (name, rows) in
        [("patient", 686), ("cancer_condition", 686), ("tumor", 686), ("histologic_grade", 686)]
    {
        assert_eq!(node.count(&format!("eucaim.{name}")), rows, "{name}");
    }
    assert_eq!(node.count("eucaim.tumor_marker_test"), 2 * 686);
    let sum = |table: &str, column: &str| -> f64 {
        node.cells(table, &[column]).iter().map(|cell| cell[0].parse::<f64>().unwrap()).sum()
    };
    // Summed over the file by itself.
    let text = std::fs::read_to_string(source).unwrap();
    let field = |name: &str| -> f64 {
        let mut lines = text.lines().map(|line| line.split(',').map(|field| field.trim_matches('"')));
        let at = lines.next().unwrap().position(|header| header == name).unwrap();
        lines.map(|mut line| line.nth(at).unwrap().parse::<f64>().unwrap()).sum()
    };
    assert_eq!(sum("eucaim.tumor", "tumor_size_maximum_dimension"), field("size"));
    assert_eq!(sum("eucaim.cancer_condition", "cancer_condition_age_at_diagnosis"), field("age"));
    let markers = sum("eucaim.tumor_marker_test", "tumor_marker_test_as_number");
    assert_eq!(markers, field("estrg_recp") + field("prog_recp"));
    let died =
        node.cells("eucaim.patient", &["patient_deceased"]).iter().filter(|cell| cell[0] == "true").count();
    assert_eq!(died, 171);
    let grades = node.cells("eucaim.histologic_grade", &["histologic_grade_value_as_concept"]);
    assert_eq!(grades.iter().filter(|cell| cell[0] == "EUCAIM:COM1002684").count(), 444);
    assert_eq!(node.cells("eucaim.cancer_condition", &["cancer_condition_code"])[0], ["EUCAIM:CLIN1000060"]);
    let [conditions, tumours] =
        ["eucaim.cancer_condition", "eucaim.tumor"].map(|t| node.cells(t, &["cancer_condition_id"]));
    assert_eq!(conditions, tumours, "tumours refer to the diagnoses of their own line");
}
