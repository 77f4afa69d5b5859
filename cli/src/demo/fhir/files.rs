//! Files of resources: NDJSON as of a bulk export, and bundles.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::json;

use super::{Author, References, Resource, TYPES};
use crate::demo::care::Care;
use crate::demo::dice::Dice;
use crate::demo::population::{Hospital, Population};

/// A folder with a file a type, a resource a line.
pub(in crate::demo) struct Lines<'a> {
    author: Author<'a>,
    files: BTreeMap<&'static str, BufWriter<File>>,
}

impl<'a> Lines<'a> {
    /// Starts the folder.
    pub(in crate::demo) fn create(
        folder: &Path,
        population: &'a Population,
        hospital: &'a Hospital,
    ) -> Result<Self> {
        let mut files = BTreeMap::new();
        for kind in TYPES {
            let path = folder.join(format!("{kind}.ndjson"));
            let file = File::create(&path).with_context(|| path.display().to_string())?;
            files.insert(kind, BufWriter::new(file));
        }
        Ok(Self { author: Author::new(population, hospital)?, files })
    }

    /// Adds the resources of many patients, in their order.
    pub(in crate::demo) fn write(&mut self, cares: &[Care<'_>]) -> Result<()> {
        let charts: Vec<Vec<Resource>> = cares
            .par_iter()
            .map(|care| self.author.chart(care, References::Relative))
            .collect::<Result<_>>()?;
        for resource in charts.iter().flatten() {
            let file = self.files.get_mut(resource.kind).context("a resource without a file")?;
            writeln!(file, "{}", resource.line())?;
        }
        Ok(())
    }

    /// Writes what is left.
    pub(in crate::demo) fn close(self) -> Result<()> {
        self.files.into_values().try_for_each(|mut file| Ok(file.flush()?))
    }
}

/// A folder with a bundle a patient: half of them transactions in gzip, half collections in plain JSON.
pub(in crate::demo) struct Bundles<'a> {
    author: Author<'a>,
    folder: PathBuf,
}

impl<'a> Bundles<'a> {
    /// Starts the folder.
    pub(in crate::demo) fn create(
        folder: &Path,
        population: &'a Population,
        hospital: &'a Hospital,
    ) -> Result<Self> {
        Ok(Self { author: Author::new(population, hospital)?, folder: folder.to_owned() })
    }

    /// Writes the bundles of many patients.
    pub(in crate::demo) fn write(&self, cares: &[Care<'_>]) -> Result<()> {
        cares.par_iter().filter(|care| care.records.is_some()).try_for_each(|care| self.bundle(care))
    }

    fn bundle(&self, care: &Care<'_>) -> Result<()> {
        let mut dice = Dice::named(&format!("{} bundle {}", self.author.hospital.name, care.person.id()));
        let name = dice.uuid();
        if dice.chance(0.5) {
            let resources = self.author.chart(care, References::Urn)?;
            let entries = resources.iter().map(|resource| {
                let request = json!({ "method": "POST", "url": resource.kind });
                entry(resource, &format!("urn:uuid:{}", resource.id), &format!(r#","request":{request}"#))
            });
            let path = self.folder.join(format!("{name}.json.gz"));
            let mut file = GzEncoder::new(Vec::new(), Compression::fast());
            file.write_all(text("transaction", entries).as_bytes())?;
            write(&path, &file.finish()?)
        } else {
            let resources = self.author.chart(care, References::Relative)?;
            let entries = resources.iter().map(|resource| {
                let url = self.author.uri(&format!("fhir/{}/{}", resource.kind, resource.id));
                entry(resource, &url, "")
            });
            write(&self.folder.join(format!("{name}.json")), text("collection", entries).as_bytes())
        }
    }
}

fn entry(resource: &Resource, url: &str, more: &str) -> String {
    format!(r#"{{"fullUrl":"{url}","resource":{}{more}}}"#, resource.line())
}

fn text(kind: &str, entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<String> = entries.collect();
    format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#, entries.join(","))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| path.display().to_string())
}
