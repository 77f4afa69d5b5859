//! The concepts that a coded column may have, as the roots that the ontology looks them up under.

use crate::concept::ConceptId;
use crate::model::Column;
use crate::ontology::Ontology;
use crate::resolve::Unresolved;

impl Column {
    /// Every concept of the column is one of these, or lies beneath one. Empty for a column without concepts.
    ///
    /// # Errors
    /// When the ontology does not have a root.
    pub fn root_concepts(&self, ontology: &Ontology) -> Result<Vec<ConceptId>, Unresolved> {
        let roots = self.roots.iter().map(|root| ontology.resolve(root, &[]));
        let mut roots = roots.collect::<Result<Vec<ConceptId>, Unresolved>>()?;
        roots.extend(self.domains.iter().flat_map(|domain| heads(ontology, domain)));
        Ok(roots)
    }
}

/// The concepts of a domain that are beneath none of the same domain.
fn heads<'o>(ontology: &'o Ontology, domain: &'o str) -> impl Iterator<Item = ConceptId> + 'o {
    let within = move |concept: ConceptId| {
        ontology.concept(concept).is_some_and(|concept| concept.domain.as_deref() == Some(domain))
    };
    let all = ontology.iter().map(|(concept, _)| concept).filter(move |concept| within(*concept));
    all.filter(move |concept| {
        !ontology.ancestors(*concept).into_iter().any(|above| above != *concept && within(above))
    })
}
