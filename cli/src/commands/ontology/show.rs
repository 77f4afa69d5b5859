//! `caim ontology show`: all that is known of one concept, and what leads to it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use caim_ontology::{ConceptId, Mappings, Ontology};
use serde::Serialize;

use super::Shape;
use crate::commands::Outcome;
use crate::exit::Exit;
use crate::vocabulary;

/// So many children and mappings are shown; their numbers are exact.
const SHOWN: usize = 25;

/// Flags of `caim ontology show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  caim ontology show SNOMEDCT:399068003

Exit code 1 when the code is unknown (the nearest concepts are named) or belongs to several.")]
pub struct Args {
    /// Code in any spelling, or a code of another vocabulary
    pub code: String,
    /// Folder of the node or hub whose ontology and mappings are shown, instead of the bundled ones
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Format
    #[arg(long, value_enum, default_value = "table")]
    pub format: Shape,
}

/// A concept in words.
#[derive(Debug, Serialize)]
struct Shown {
    code: String,
    label: String,
    definition: Option<String>,
    domain: Option<String>,
    deprecated: bool,
    searchable: bool,
    synonyms: Vec<String>,
    parents: Vec<Named>,
    children: Vec<Named>,
    number_of_children: usize,
    number_of_descendants: usize,
    same_as: Vec<Named>,
    cross_codes: Vec<String>,
    mappings: Vec<Line>,
    number_of_mappings: usize,
    closure_hash: String,
    ontology: String,
}

#[derive(Debug, Serialize)]
struct Named {
    code: String,
    label: String,
}

#[derive(Debug, Serialize)]
struct Line {
    subject: String,
    predicate: String,
    set: String,
    line: usize,
}

/// Runs the command.
///
/// # Errors
/// When the code is unknown or ambiguous: names the nearest or the candidates.
pub fn run(args: Args) -> Outcome {
    let mappings = vocabulary::mappings(args.dir.as_deref())?;
    let ontology = mappings.ontology();
    // An own code shows its concept even where another stands for it.
    let concept = match ontology.find(&args.code) {
        Some(own) => own,
        None => ontology.resolve(&args.code, &[])?,
    };
    let shown = shown(&mappings, concept);
    let mut out = std::io::stdout().lock();
    match args.format {
        Shape::Table => write_text(&mut out, &shown)?,
        Shape::Json => writeln!(out, "{}", serde_json::to_string(&shown)?)?,
    }
    Ok(Exit::Ok)
}

fn shown(mappings: &Mappings, id: ConceptId) -> Shown {
    let ontology: &Ontology = mappings.ontology();
    let named = |id: ConceptId| Named { code: ontology.curie(id), label: ontology.label(id).to_owned() };
    let concept = ontology.concept(id);
    let texts =
        |list: Option<&[Box<str>]>| list.unwrap_or_default().iter().map(ToString::to_string).collect();
    let lines = lines(mappings, id);
    Shown {
        code: ontology.curie(id),
        label: ontology.label(id).to_owned(),
        definition: concept.and_then(|c| c.definition.as_deref()).map(str::to_owned),
        domain: concept.and_then(|c| c.domain.as_deref()).map(str::to_owned),
        deprecated: concept.is_some_and(|c| c.obsolete),
        searchable: concept.is_some_and(|c| c.searchable),
        synonyms: texts(concept.map(|c| &*c.synonyms)),
        parents: concept.map(|c| c.parents.iter().map(|p| named(*p)).collect()).unwrap_or_default(),
        children: ontology.children(id).take(SHOWN).map(named).collect(),
        number_of_children: ontology.children(id).count(),
        number_of_descendants: ontology.descendants(id).len().saturating_sub(1),
        same_as: ontology
            .equivalents(id)
            .iter()
            .filter(|same| **same != id)
            .map(|same| named(*same))
            .collect(),
        cross_codes: concept
            .map(|c| c.cross_codes.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        number_of_mappings: lines.len(),
        mappings: lines.into_iter().take(SHOWN).collect(),
        closure_hash: ontology.closure_hash(id).to_string(),
        ontology: format!("{} {}", ontology.prefix(), ontology.version()),
    }
}

/// The lines of mapping sets that lead to a concept.
fn lines(mappings: &Mappings, concept: ConceptId) -> Vec<Line> {
    let mut lines = Vec::new();
    for set in mappings.sets() {
        for mapping in set.mappings.iter().filter(|mapping| !mapping.negated) {
            let object =
                mapping.object.as_deref().and_then(|object| mappings.ontology().resolve(object, &[]).ok());
            if object == Some(concept) {
                lines.push(Line {
                    subject: format!("{}:{}", mapping.source, mapping.value),
                    predicate: mapping.predicate.to_string(),
                    set: set.id.clone(),
                    line: mapping.line,
                });
            }
        }
    }
    lines
}

fn write_text(out: &mut dyn Write, shown: &Shown) -> Result<()> {
    writeln!(out, "{}  {}", shown.code, shown.label)?;
    let mut field = |name: &str, values: Vec<String>| -> Result<()> {
        for (place, value) in values.iter().enumerate() {
            let name = if place == 0 { name } else { "" };
            writeln!(out, "  {name:<12}  {}", value.replace(|c: char| c.is_control(), " "))?;
        }
        Ok(())
    };
    let named = |list: &[Named]| list.iter().map(|n| format!("{}  {}", n.code, n.label)).collect::<Vec<_>>();
    field("definition", shown.definition.iter().cloned().collect())?;
    field("domain", shown.domain.iter().cloned().collect())?;
    field(
        "deprecated",
        shown.deprecated.then(|| "yes: it stays known for old records".to_owned()).into_iter().collect(),
    )?;
    field("synonyms", shown.synonyms.clone())?;
    field("same as", named(&shown.same_as))?;
    field("parents", named(&shown.parents))?;
    field("children", more(named(&shown.children), shown.number_of_children))?;
    field("descendants", vec![shown.number_of_descendants.to_string()])?;
    field("codes", shown.cross_codes.clone())?;
    let line = |l: &Line| format!("{} {} ({} line {})", l.subject, l.predicate, l.set, l.line);
    field("mapped from", more(shown.mappings.iter().map(line).collect(), shown.number_of_mappings))?;
    field("closure hash", vec![shown.closure_hash.clone()])?;
    field("ontology", vec![shown.ontology.clone()])
}

fn more(mut lines: Vec<String>, all: usize) -> Vec<String> {
    if all > lines.len() {
        lines.push(format!("and {} more", all - lines.len()));
    }
    lines
}
