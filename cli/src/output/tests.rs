//! What is written is read back by readers of the format; the table is read by eye.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, StringArray};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Format, write};

fn answer() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("Modality", Arc::new(StringArray::from(vec![Some("MR"), Some("a,\"b\"\nc"), None])), true),
        ("patients", Arc::new(Int64Array::from(vec![Some(12_345), Some(-7), None])), true),
        ("mean", Arc::new(Float64Array::from(vec![Some(1.0), Some(1234.5678), None])), true),
        ("first", Arc::new(Date32Array::from(vec![Some(0), None, Some(19_000)])), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn written(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(format, &answer().schema(), batches, &mut bytes).unwrap();
    bytes
}

fn text(format: Format, batches: &[RecordBatch]) -> String {
    String::from_utf8(written(format, batches)).unwrap()
}

#[test]
fn the_table_aligns_numbers_to_the_right_and_marks_null() {
    let expected = "\
Modality  patients     mean  first
────────  ────────  ───────  ──────────
MR          12,345     1.00  1970-01-01
a,\"b\" c         -7  1234.57  ·
·                ·        ·  2022-01-08
";
    assert_eq!(text(Format::Table, &[answer()]), expected);
}

#[test]
fn csv_is_read_back() {
    let bytes = written(Format::Csv, &[answer(), answer()]);
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    assert_eq!(reader.headers().unwrap(), vec!["Modality", "patients", "mean", "first"]);
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[4], vec!["a,\"b\"\nc", "-7", "1234.5678", ""]);
}

#[test]
fn json_is_read_back() {
    let array: Vec<serde_json::Value> =
        serde_json::from_str(&text(Format::Json, &[answer(), answer()])).unwrap();
    assert_eq!((array.len(), &array[0]["patients"]), (6, &serde_json::json!(12_345)));
    let lines = text(Format::Ndjson, &[answer()]);
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[1]["mean"], serde_json::json!(1234.5678));
    assert_eq!(lines.len(), 3);
}

#[test]
fn arrow_and_parquet_are_read_back_whole() {
    let bytes = written(Format::Arrow, &[answer()]);
    let batches: Vec<_> =
        StreamReader::try_new(bytes.as_slice(), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches, [answer()]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), written(Format::Parquet, &[answer()])).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.reopen().unwrap()).unwrap().build().unwrap();
    assert_eq!(reader.map(Result::unwrap).collect::<Vec<_>>(), [answer()]);
}

#[test]
fn an_answer_without_rows_still_names_its_columns() {
    assert!(text(Format::Table, &[]).starts_with("Modality  patients"));
    assert_eq!(text(Format::Csv, &[]), "Modality,patients,mean,first\n");
    assert_eq!(text(Format::Json, &[]).trim(), "[]");
    assert_eq!(text(Format::Ndjson, &[]), "");
    let arrow = written(Format::Arrow, &[]);
    assert_eq!(StreamReader::try_new(arrow.as_slice(), None).unwrap().schema(), answer().schema());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), written(Format::Parquet, &[])).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.reopen().unwrap()).unwrap();
    assert_eq!(reader.schema().fields().len(), 4);
}
