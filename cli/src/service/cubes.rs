//! The files of a node's cubes, `DIR/cubes/*.sql`.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use caim_engine::{Cube, CubeFile, Policy, cube};
use caim_ontology::Models;

/// Folder of the cubes in that of the node.
const FOLDER: &str = "cubes";

/// Longest file.
const FILE_BYTES: u64 = 64 << 10;

/// Most files that are read.
const FILES: usize = 1_000;

/// What the node of a folder publishes: the cubes of the program, and those of its own files over them. A node whose
/// `publish_rho` is 0 publishes its own alone, which then cannot be paid for.
pub(super) fn of_node(dir: &Path, policy: &Policy, models: &Arc<Models>) -> Result<Vec<Cube>> {
    let folder = dir.join(FOLDER);
    let files = files(&folder)?;
    let mut cubes = cube::all(&files, models).with_context(|| folder.display().to_string())?;
    if policy.publish_rho == 0.0 && !policy.public_data {
        cubes.retain(|cube| files.iter().any(|file| file.name == cube.name));
    }
    Ok(cubes)
}

fn files(folder: &Path) -> Result<Vec<CubeFile>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let (name, extension) = (path.file_stem(), path.extension());
        if extension.is_none_or(|extension| extension != "sql") {
            continue;
        }
        if files.len() == FILES || std::fs::metadata(&path)?.len() > FILE_BYTES {
            bail!(
                "{}: cubes are at most {FILES} files of at most {FILE_BYTES} bytes; take it out of the folder",
                path.display()
            );
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.push(CubeFile { name: name.unwrap_or_default().to_string_lossy().into_owned(), text });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use caim_engine::Policy;
    use caim_ontology::Models;

    use super::of_node;

    const MINE: &str = "SELECT Modality, count(DISTINCT PatientID) AS n FROM dicom.series GROUP BY Modality";

    #[test]
    fn files_stand_over_the_bundled_cubes_and_others_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let models = Arc::new(Models::bundled().unwrap());
        let names = |policy: &Policy| -> Vec<String> {
            let cubes = of_node(dir.path(), policy, &models).unwrap();
            cubes.into_iter().map(|cube| cube.name).collect()
        };
        let bundled = names(&Policy::default());
        assert!(bundled.contains(&"diagnosis_sex_age".to_owned()));
        let folder = dir.path().join("cubes");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("mine.sql"), MINE).unwrap();
        std::fs::write(folder.join("notes.txt"), "no cube").unwrap();
        std::fs::write(folder.join("diagnosis_sex_age.sql"), "").unwrap();
        let own = names(&Policy::default());
        assert!(own.contains(&"mine".to_owned()) && !own.contains(&"diagnosis_sex_age".to_owned()));
        assert_eq!(names(&Policy { publish_rho: 0.0, ..Policy::default() }), ["mine"]);
    }

    #[test]
    fn a_faulty_file_is_named_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cubes");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("rows.sql"), "SELECT * FROM patient").unwrap();
        let models = Arc::new(Models::bundled().unwrap());
        let error = of_node(dir.path(), &Policy::default(), &models).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("cube rows") && text.contains("CAIM-P"), "{text}");
    }
}
