//! FHIR R4 resources (hl7.org/fhir/R4), as Bundles, arrays, single resources or lines of JSON, plain or gzip.
//!
//! ```text
//! file -> reader     blocks of lines or one document, read ahead
//!      -> json       a tape of spans: nothing is copied
//!      -> patients   all Patient resources first: who is who by [identity]
//!      -> view       ViewDefinitions (connectors/views) make rows of resources, on all cores
//!      -> store      the patient of every row, duplicates and conflicts, landing tables
//! ```
//!
//! Operators add views of their own ([`with_views`]). Contained resources are parts of their resource, not resources. Names, notes, narratives and displays are in no
//! view: they are not stored.

mod bundled;
mod export;
mod harvest;
mod json;
mod own;
mod path;
mod patients;
mod reader;
mod seen;
mod store;
mod superseded;
mod texts;
mod view;

#[cfg(test)]
mod tests;

use caim_ontology::Models;

use crate::ingest::Context;
use crate::row_key::NameKey;
use crate::source::Member;
use crate::tally::Tally;
use crate::target::Target;
use crate::{Code, Error, Result};
use bundled::Views;
pub(crate) use export::{is_one as is_export, open as exported};
use harvest::Field;
pub use own::with_views;
use patients::Patients;
use reader::More;
use store::Store;
pub(crate) use superseded::Earlier;

const SCHEMA: &str = "fhir";
/// What reports call texts that are no resource of any table.
const RESOURCE: &str = "fhir.resource";
/// So much of a file is looked at for a resource.
const HEAD: u64 = 1 << 16;

/// Reads the resources of a source into the tables of schema `fhir`. With `earlier`, they are what has changed since.
pub(crate) fn ingest(
    context: &Context<'_>,
    members: &[Member],
    earlier: Option<&Earlier<'_>>,
    target: &mut Target,
    tally: &mut Tally,
) -> Result<()> {
    let Some(collection) = context.collection.id() else {
        let reason = "FHIR resources have no column of collections";
        return Err(Error::new(Code::Option, "--collection-column", reason)
            .with_fix("name the collection with --collection"));
    };
    let views = Views::of(context.models, context.secret)?.under(context.pseudonyms);
    let mut store = Store::new(&views, collection, context, target, tally)?;
    let mut patients = register(context, collection, members, target, tally)?;
    if let Some(earlier) = earlier {
        let moved = patients.remember(earlier, target)?;
        tally.warn_about("fhir.patient", Code::MovedPatient, None, moved);
        store.only_known();
    }
    let name = NameKey::new(context.secret);
    let field = Field { views: &views, patients: &patients, name: &name, rule: context.duplicates };
    Reading { context, field, members }.read(&mut store, target, tally)?;
    if store.resources == 0 && store.not_fhir > 0 && store.broken == 0 {
        let reason = format!("its JSON has {} values and none is a FHIR resource", store.not_fhir);
        let place = members.first().map_or("the source", |member| member.name.as_str());
        return Err(Error::new(Code::NotFhir, place, reason));
    }
    let seen = store.finish(&name, target, tally)?;
    earlier.map_or(Ok(()), |earlier| earlier.leave(&views, &seen, &name, target, tally))
}

/// What besides bytes and the shared models decides the rows of FHIR sources: the definitions of the node's own views.
pub(crate) fn rules(models: &Models) -> impl Iterator<Item = &str> {
    own::tables(models).map(|(_, definition)| definition)
}

/// Whether a file begins like FHIR: with the name of the member that every resource has.
pub(crate) fn has_resource(member: &Member) -> Result<bool> {
    let head = reader::head(member, HEAD)?;
    Ok(memchr::memmem::find(&head, b"\"resourceType\"").is_some())
}

/// Reads all Patient resources.
fn register<'c>(
    context: &'c Context<'c>,
    collection: &str,
    members: &[Member],
    target: &mut Target,
    tally: &mut Tally,
) -> Result<Patients<'c>> {
    let mut patients = Patients::new(context, collection);
    let rule = context.pseudonyms.fhir_rule();
    context.progress.started("patients of FHIR", None);
    let mut others = 0;
    reader::each(
        members,
        |_, piece| harvest::scan(&piece, rule),
        |number, candidates| {
            for candidate in &candidates {
                others += u64::from(patients.register(number, candidate, target)?);
            }
            context.progress.advanced(candidates.len() as u64);
            Ok(More::Wanted)
        },
    )?;
    context.progress.finished();
    tally.warn_about(&format!("{SCHEMA}.patient"), Code::SeveralSystems, Some("identifier"), others);
    Ok(patients)
}

/// All files of a source.
struct Reading<'r> {
    context: &'r Context<'r>,
    field: Field<'r>,
    members: &'r [Member],
}

impl Reading<'_> {
    fn read(&self, store: &mut Store<'_>, target: &mut Target, tally: &mut Tally) -> Result<()> {
        let progress = self.context.progress;
        progress.started("FHIR resources", None);
        // The file at hand, and how many resources there were before it.
        let mut at = (0, 0);
        reader::each(
            self.members,
            |number, piece| harvest::reap(&piece, number, &self.field),
            |number, harvests| {
                if at.0 != number {
                    at = (number, store.resources);
                }
                let file = self.members.get(number).map_or("", |member| member.name.as_str());
                for harvest in harvests {
                    let before = store.resources;
                    store.take(harvest, file, self.field.patients, target, tally)?;
                    progress.advanced(store.resources - before);
                }
                // A sample needs no more of a file than its first resources.
                Ok(if store.resources - at.1 < self.context.limit { More::Wanted } else { More::Enough })
            },
        )?;
        progress.finished();
        Ok(())
    }
}
