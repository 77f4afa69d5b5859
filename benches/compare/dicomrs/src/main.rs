//! Reads the headers of DICOM objects with dicom-rs into one Parquet file, or only their first bytes: the least that
//! any reader must do.
//!
//! `compare-dicomrs headers|bytes THREADS OUT KEYWORD... < paths`

use std::fs::File;
use std::io::{BufRead, Read, stdin};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::{DefaultDicomObject, OpenFileOptions, Tag};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;

const FIRST_BYTES: u64 = 8 * 1024;

type Row = Vec<Option<String>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [work, threads, out, keywords @ ..] = arguments.as_slice() else {
        bail!("usage: compare-dicomrs headers|bytes THREADS OUT KEYWORD... < paths");
    };
    let paths = stdin().lock().lines().collect::<std::io::Result<Vec<String>>>()?;
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    match work.as_str() {
        "headers" => headers(&paths, out, keywords),
        "bytes" => bytes(&paths),
        other => bail!("no work {other}"),
    }
}

/// One row a file, one text column an attribute.
fn headers(paths: &[String], out: &str, keywords: &[String]) -> Result<()> {
    let wanted = keywords.iter().map(|k| tag(k)).collect::<Result<Vec<_>>>()?;
    let rows = paths.par_iter().map(|path| row(path, &wanted)).collect::<Result<Vec<Row>>>()?;
    let columns = keywords.iter().enumerate().map(|(i, name)| {
        let values: StringArray = rows.iter().map(|row| row[i].as_deref()).collect();
        (name.as_str(), Arc::new(values) as ArrayRef, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns)?;
    let compression = Compression::ZSTD(ZstdLevel::try_new(1)?);
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(File::create(out)?, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

fn tag(keyword: &str) -> Result<Tag> {
    StandardDataDictionary.parse_tag(keyword).ok_or_else(|| anyhow!("no attribute {keyword}"))
}

fn row(path: &str, wanted: &[Tag]) -> Result<Row> {
    let object = OpenFileOptions::new()
        .read_until(tags::PIXEL_DATA)
        .open_file(path)
        .with_context(|| path.to_owned())?;
    Ok(wanted.iter().map(|tag| text(&object, *tag)).collect())
}

fn text(object: &DefaultDicomObject, tag: Tag) -> Option<String> {
    if tag == tags::TRANSFER_SYNTAX_UID {
        return Some(object.meta().transfer_syntax().to_owned());
    }
    let value = object.element(tag).ok()?.to_str().ok()?;
    Some(value.trim_end_matches([' ', '\0']).to_owned())
}

/// Opens each file and reads its first bytes.
fn bytes(paths: &[String]) -> Result<()> {
    let read = |path: &String| -> Result<usize> {
        let mut buffer = Vec::with_capacity(FIRST_BYTES as usize);
        Ok(File::open(path)?.take(FIRST_BYTES).read_to_end(&mut buffer)?)
    };
    let total: usize = paths.par_iter().map(read).sum::<Result<usize>>()?;
    println!("{total}");
    Ok(())
}
