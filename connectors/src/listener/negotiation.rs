//! What is agreed on before the first message (PS3.8 section 7.1, PS3.7 annex D): who talks to whom, about which SOP
//! classes, in which transfer syntaxes.

use std::collections::HashMap;

use dicom_core::dictionary::UidDictionary;
use dicom_dictionary_std::StandardSopClassDictionary;
use dicom_ul::pdu::{
    AssociationAC, AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason,
    AssociationRJServiceProviderPresentationReason, AssociationRJServiceUserReason, AssociationRJSource,
    AssociationRQ, PresentationContextProposed, PresentationContextResult, PresentationContextResultReason,
    UserVariableItem,
};

use super::ListenOptions;
use super::wire::PDU_BYTES;
use crate::dicom;

/// The DICOM application context (PS3.7 annex A).
const APPLICATION: &str = "1.2.840.10008.3.1.1.1";
pub(super) const VERIFICATION: &str = "1.2.840.10008.1.1";
/// Where the standard's services for composite objects are.
const COMPOSITES: &str = "1.2.840.10008.5.1.4.";
/// What stands where nothing was agreed on.
const IMPLICIT: &str = "1.2.840.10008.1.2";
/// Caim, as peers know it (PS3.7 section D.3.3.2).
const IMPLEMENTATION: &str = "2.25.187263541901825649352187465090341122871";
const VERSION: &str = "CAIM";

/// What one presentation context is about.
pub(super) struct Context {
    pub(super) class: String,
    pub(super) syntax: String,
}

/// The accepted presentation contexts by their numbers.
pub(super) type Contexts = HashMap<u8, Context>;

/// Whether a text can be an AE title (PS3.5 section 6.2).
pub(super) fn is_title(text: &str) -> bool {
    let is_printable = |byte: u8| byte == b' ' || (byte.is_ascii_graphic() && byte != b'\\');
    (1..=16).contains(&text.len()) && text.trim() == text && text.bytes().all(is_printable)
}

/// Whether objects of a SOP class are stored: all storage SOP classes of the standard, also retired ones.
pub(super) fn is_storage(class: &str) -> bool {
    let known = StandardSopClassDictionary.by_uid(class);
    class.starts_with(COMPOSITES) && known.is_some_and(|known| known.name.contains("Storage"))
}

/// What is answered to a request, and what it agrees on.
pub(super) fn answer(
    request: &AssociationRQ,
    options: &ListenOptions,
    is_one_too_many: bool,
) -> Result<(AssociationAC, Contexts), AssociationRJ> {
    admit(request, options, is_one_too_many)?;
    let (mut results, mut contexts) = (Vec::new(), Contexts::new());
    for proposed in &request.presentation_contexts {
        let (reason, syntax) = match agreed(proposed) {
            Ok(syntax) => {
                let context = Context { class: bare(&proposed.abstract_syntax), syntax: syntax.clone() };
                contexts.insert(proposed.id, context);
                (PresentationContextResultReason::Acceptance, syntax)
            }
            Err(reason) => (reason, IMPLICIT.to_owned()),
        };
        results.push(PresentationContextResult { id: proposed.id, reason, transfer_syntax: syntax });
    }
    let accepted = AssociationAC {
        protocol_version: 1,
        calling_ae_title: request.calling_ae_title.clone(),
        called_ae_title: request.called_ae_title.clone(),
        application_context_name: APPLICATION.to_owned(),
        presentation_contexts: results,
        user_variables: vec![
            UserVariableItem::MaxLength(PDU_BYTES),
            UserVariableItem::ImplementationClassUID(IMPLEMENTATION.to_owned()),
            UserVariableItem::ImplementationVersionName(VERSION.to_owned()),
        ],
    };
    Ok((accepted, contexts))
}

fn admit(
    request: &AssociationRQ,
    options: &ListenOptions,
    is_one_too_many: bool,
) -> Result<(), AssociationRJ> {
    use AssociationRJServiceUserReason as User;
    let caller = &request.calling_ae_title;
    let may_call = options.callers.is_empty() || options.callers.contains(caller);
    let wrong = |reason| Err(rejection(AssociationRJSource::ServiceUser(reason)));
    if request.protocol_version & 1 == 0 {
        let reason = AssociationRJServiceProviderASCEReason::ProtocolVersionNotSupported;
        return Err(rejection(AssociationRJSource::ServiceProviderASCE(reason)));
    }
    if bare(&request.application_context_name) != APPLICATION {
        return wrong(User::ApplicationContextNameNotSupported);
    }
    if request.called_ae_title != options.ae_title {
        return wrong(User::CalledAETitleNotRecognized);
    }
    if !is_title(caller) || !may_call {
        return wrong(User::CallingAETitleNotRecognized);
    }
    if is_one_too_many {
        let reason = AssociationRJServiceProviderPresentationReason::LocalLimitExceeded;
        let source = AssociationRJSource::ServiceProviderPresentation(reason);
        return Err(AssociationRJ { result: AssociationRJResult::Transient, source });
    }
    Ok(())
}

fn rejection(source: AssociationRJSource) -> AssociationRJ {
    AssociationRJ { result: AssociationRJResult::Permanent, source }
}

/// The first transfer syntax of a context in which headers can be read.
fn agreed(proposed: &PresentationContextProposed) -> Result<String, PresentationContextResultReason> {
    let class = bare(&proposed.abstract_syntax);
    if class != VERIFICATION && !is_storage(&class) {
        return Err(PresentationContextResultReason::AbstractSyntaxNotSupported);
    }
    let readable = proposed.transfer_syntaxes.iter().map(|uid| bare(uid)).find(|uid| dicom::is_readable(uid));
    readable.ok_or(PresentationContextResultReason::TransferSyntaxesNotSupported)
}

/// A UID without padding.
fn bare(uid: &str) -> String {
    uid.trim_end_matches(['\0', ' ']).to_owned()
}
