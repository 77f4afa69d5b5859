//! dicom-table: what becomes of series, and of the studies derived from them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array, RecordBatch, StringArray};
use caim_connectors::{Code, Collection, Format};
use parquet::arrow::ArrowWriter;

use crate::fixture::{Node, rejected, table, warned};

const HEADER: &str =
    "PatientID,StudyInstanceUID,SeriesInstanceUID,StudyDate,PatientAge,Modality,instanceCount\n";

#[test]
fn values_are_read_by_their_representation_and_others_become_null_with_a_warning() {
    let node = Node::new();
    let source = node.write(
        "series.csv",
        "PatientID,StudyInstanceUID,SERIESINSTANCEUID,StudyDate,PatientAge,Modality,KVP,aws_bucket\n\
         P1,1.2,1.2.1,20230105,056Y,CT ,120,x\n\
         P2,1.3,1.3.1,2023.01.05,018M,M\x07R,nan,x\n\
         P3,1.4,1.4.1,00010101,6657,PT,inf,x\n",
    );
    let report = node.ingest(&source);
    assert_eq!(
        node.cells("dicom.series", &["seriesinstanceuid", "studydate", "patientage", "modality", "kvp"]),
        [
            ["1.2.1", "2023-01-05", "56", "CT", "120.0"],
            ["1.3.1", "2023-01-05", "1", "-", "-"],
            ["1.4.1", "-", "-", "PT", "-"],
        ]
    );
    assert_eq!(warned(&report, Code::UnreadableValue), 4);
    assert_eq!(report.left_out.iter().map(|c| c.column.as_str()).collect::<Vec<_>>(), ["aws_bucket"]);
    assert!(!node.rows("dicom.series").schema().fields().iter().any(|field| field.name() == "patientid"));
}

#[test]
fn parquet_and_csv_of_the_same_series_are_the_same_rows() {
    let (csv, parquet) = (Node::new(), Node::new());
    csv.ingest(
        &csv.write("s.csv", format!("{HEADER}P1,1.2,1.2.1,2023-01-05,56,CT,12\nP2,1.3,1.3.1,,,MR,\n")),
    );
    let text = |values: [&str; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_from_iter(vec![
        ("Modality", text(["CT", "MR"])),
        ("PatientID", text(["P1", "P2"])),
        ("StudyInstanceUID", text(["1.2", "1.3"])),
        ("SeriesInstanceUID", text(["1.2.1", "1.3.1"])),
        ("StudyDate", Arc::new(Date32Array::from(vec![Some(19_362), None])) as ArrayRef),
        ("PatientAge", Arc::new(Int32Array::from(vec![Some(56), None])) as ArrayRef),
        ("instanceCount", Arc::new(Int32Array::from(vec![Some(12), None])) as ArrayRef),
    ])
    .unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    parquet.ingest(&parquet.write("s.parquet", bytes));
    assert_eq!(csv.keys("dicom.series"), parquet.keys("dicom.series"));
    assert_eq!(csv.keys("dicom.study"), parquet.keys("dicom.study"));
}

#[test]
fn series_without_patient_stay_and_series_without_uid_do_not() {
    let node = Node::new();
    let source =
        node.write("s.csv", format!("{HEADER}P1,1.2,1.2.1,,,CT,1\n ,1.3,1.3.1,,,CT,1\nP1,1.2,,,,CT,1\n"));
    let report = node.ingest(&source);
    assert_eq!(
        node.cells("dicom.series", &["seriesinstanceuid", "_patient"]),
        [["1.2.1", "0"], ["1.3.1", "-"]]
    );
    assert_eq!(warned(&report, Code::NoPatient), 1);
    assert_eq!(rejected(&report), [(4, Code::BadKey)]);
    assert!(report.has_rejects());
    assert_eq!(node.cells("dicom.study", &["studyinstanceuid", "_patient"]), [["1.2", "0"], ["1.3", "-"]]);
}

#[test]
fn the_same_series_twice_is_a_duplicate_and_another_of_its_uid_a_conflict() {
    let node = Node::new();
    let first = node
        .write("a.csv", format!("{HEADER}P1,1.2,1.2.1,,,CT,1\nP1,1.2,1.2.1,,,CT,1\nP1,1.2,1.2.1,,,CT,2\n"));
    let report = node.ingest(&first);
    let counts = table(&report, "dicom.series");
    assert_eq!((counts.read, counts.kept, counts.duplicates, counts.rejected), (3, 1, 1, 1));
    assert_eq!(rejected(&report), [(4, Code::Conflict)]);

    let second = node
        .write("b.csv", format!("{HEADER}P1,1.2,1.2.1,,,CT,1\nP2,1.2,1.2.1,,,CT,1\nP2,1.3,1.3.1,,,CT,1\n"));
    let report = node.ingest(&second);
    let counts = table(&report, "dicom.series");
    assert_eq!((counts.kept, counts.duplicates, counts.rejected), (1, 1, 1));
    assert_eq!(node.count("dicom.series"), 2);
    assert_eq!(
        node.cells("dicom.series", &["instancecount", "seriesinstanceuid"]),
        [["1", "1.2.1"], ["1", "1.3.1"]]
    );
}

#[test]
fn studies_add_up_all_series_whatever_batch_and_order_they_came_in() {
    let series = [
        "P1,1.2,1.2.3,20200103,,CT,3\n",
        "P2,1.4,1.4.1,20210101,040Y,MR,\n",
        "P1,1.2,1.2.1,,055Y,CT,1\n",
        "P1,1.2,1.2.2,20200102,056Y,SEG,2\n",
        "P2,1.4,1.4.2,20210101,040Y,MR,7\n",
    ];
    let columns = [
        "studyinstanceuid",
        "studydate",
        "patientage",
        "numberofstudyrelatedseries",
        "numberofstudyrelatedinstances",
    ];
    let expected = [["1.2", "2020-01-02", "55", "3", "6"], ["1.4", "2021-01-01", "40", "2", "-"]];
    let (together, apart) = (Node::new(), Node::new());
    together.ingest(&together.write("all.csv", format!("{HEADER}{}", series.concat())));
    for (number, line) in series.iter().rev().enumerate() {
        apart.ingest(&apart.write(&format!("{number}.csv"), format!("{HEADER}{line}")));
    }
    for node in [&together, &apart] {
        assert_eq!(node.cells("dicom.study", &columns), expected);
    }
    assert_eq!(together.keys("dicom.study"), apart.keys("dicom.study"));
}

#[test]
fn a_study_under_two_patients_is_a_study_of_each_and_a_warning() {
    let node = Node::new();
    let report =
        node.ingest(&node.write("s.csv", format!("{HEADER}P1,1.2,1.2.1,,,CT,1\nP2,1.2,1.2.2,,,CT,1\n")));
    assert_eq!(node.cells("dicom.study", &["studyinstanceuid", "_patient"]), [["1.2", "0"], ["1.2", "1"]]);
    assert_eq!(warned(&report, Code::SharedStudy), 1);
}

#[test]
fn the_collection_is_one_for_all_or_a_column_of_the_source() {
    let mut node = Node::new();
    let text = "site,PatientID,StudyInstanceUID,SeriesInstanceUID,collection_id\n\
                north,P1,1.2,1.2.1,own\n,P1,1.2,1.2.2,own\n";
    node.options.collection = Collection::Column("SITE".into());
    let report = node.ingest(&node.write("a.csv", text));
    let columns = ["collection_id", "seriesinstanceuid"];
    assert_eq!(node.cells("dicom.series", &columns), [["-", "1.2.2"], ["north", "1.2.1"]]);
    assert_eq!((warned(&report, Code::NoCollection), report.collection), (1, None));

    let mut node = Node::new();
    let report = node.ingest(&node.write("a.csv", text));
    assert_eq!(node.cells("dicom.series", &columns), [["c1", "1.2.1"], ["c1", "1.2.2"]]);
    assert_eq!(report.left_out.len(), 2, "the source's own column is named as left out");

    node.options.collection = Collection::Column("nothing".into());
    assert_eq!(node.refusal(&node.source("a.csv")), Code::Option);
}

#[test]
fn row_keys_do_not_depend_on_other_rows_or_patients() {
    let (few, many) = (Node::new(), Node::new());
    few.ingest(&few.write("s.csv", format!("{HEADER}P9,1.9,1.9.1,,,CT,1\n")));
    many.ingest(&many.write("s.csv", format!("{HEADER}P1,1.2,1.2.1,,,CT,1\nP9,1.9,1.9.1,,,CT,1\n")));
    assert!(many.keys("dicom.series").contains(&few.keys("dicom.series")[0]));
    assert!(many.keys("dicom.study").contains(&few.keys("dicom.study")[0]));
}

#[test]
fn an_archive_without_patient_ids_is_refused_by_the_columns_name() {
    let node = Node::new();
    let error = node.try_ingest(&node.write("s.csv", "SeriesInstanceUID\n1.2\n")).unwrap_err();
    assert_eq!(error.code(), Code::MissingColumn);
    assert!(error.to_string().contains("PatientID"), "{error}");
}

#[test]
fn a_table_of_series_that_is_called_as_an_omop_table_is_still_one() {
    let mut node = Node::new();
    let source = node.write("note.csv", format!("{HEADER}P1,1.2,1.2.1,,,CT,1\n"));
    assert_eq!(node.ingest(&source).format, "dicom-table");
    node.options.format = Format::Omop;
    assert_eq!(node.refusal(&source), Code::MissingColumn);
}
