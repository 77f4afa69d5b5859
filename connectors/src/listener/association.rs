//! One association: C-ECHO and C-STORE, one after the other, until it is released.

use std::sync::atomic::Ordering;
use std::time::Instant;

use dicom_ul::pdu::{AbortRQServiceProviderReason, AbortRQSource, AssociationRQ, Pdu};

use super::message::{C_CANCEL, C_ECHO, C_STORE, Command, Inbox, RESPONSE};
use super::negotiation::{self, Context, Contexts, VERIFICATION};
use super::refused::{OPERATION, Refused, SUCCESS};
use super::segment::{Record, Segment};
use super::wire::Wire;
use super::{Shared, Visit};
use crate::dicom::{Door, Unreadable};

/// How an association ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Released,
    Aborted,
    HungUp,
    Idle,
    TooSlow,
    Malformed,
    Unexpected,
    Rejected,
    Stopped,
    Failed,
}

impl End {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Aborted => "aborted by the peer",
            Self::HungUp => "the peer hung up",
            Self::Idle => "idle for too long",
            Self::TooSlow => "too slow",
            Self::Malformed => "no DICOM, or malformed",
            Self::Unexpected => "out of turn",
            Self::Rejected => "rejected",
            Self::Stopped => "the listener stops",
            Self::Failed => "failed",
        }
    }

    /// The last word to the peer.
    fn farewell(self) -> Option<Pdu> {
        use AbortRQServiceProviderReason as Reason;
        let reason = match self {
            Self::Released => return Some(Pdu::ReleaseRP),
            Self::Aborted | Self::HungUp | Self::Rejected => return None,
            Self::Malformed => Reason::UnrecognizedPdu,
            Self::Unexpected => Reason::UnexpectedPdu,
            Self::Idle | Self::TooSlow | Self::Stopped | Self::Failed => Reason::ReasonNotSpecified,
        };
        Some(Pdu::AbortRQ { source: AbortRQSource::ServiceProvider(reason) })
    }
}

/// An association that is open.
pub(super) struct Association<'a> {
    shared: &'a Shared,
    inbox: Inbox,
    visit: &'a mut Visit,
    contexts: Contexts,
    segment: Option<Segment>,
}

impl<'a> Association<'a> {
    pub(super) fn new(shared: &'a Shared, wire: Wire, visit: &'a mut Visit) -> Self {
        let inbox = Inbox::new(wire, shared.options.limits.stall);
        Self { shared, inbox, visit, contexts: Contexts::new(), segment: None }
    }

    /// Serves the peer to the end.
    pub(super) fn run(mut self, is_one_too_many: bool) -> End {
        let end = match self.establish(is_one_too_many) {
            Ok(()) => self.serve(),
            Err(end) => end,
        };
        // Headers may come in before the peer has read the last word.
        self.segment = None;
        if let Some(last) = end.farewell()
            && self.inbox.wire.send(&last).is_err()
        {
            return end;
        }
        if end != End::HungUp {
            self.inbox.wire.close();
        }
        end
    }

    fn establish(&mut self, is_one_too_many: bool) -> Result<(), End> {
        let request: AssociationRQ = match self.inbox.unit()? {
            Pdu::AssociationRQ(request) => request,
            Pdu::AbortRQ { .. } => return Err(End::Aborted),
            Pdu::AssociationAC(_)
            | Pdu::AssociationRJ(_)
            | Pdu::PData { .. }
            | Pdu::ReleaseRQ
            | Pdu::ReleaseRP
            | Pdu::Unknown { .. } => return Err(End::Unexpected),
        };
        if negotiation::is_title(&request.calling_ae_title) {
            self.visit.caller.clone_from(&request.calling_ae_title);
        }
        match negotiation::answer(&request, &self.shared.options, is_one_too_many) {
            Ok((accepted, contexts)) => {
                self.contexts = contexts;
                self.inbox.wire.send(&Pdu::AssociationAC(accepted))
            }
            Err(rejected) => {
                self.inbox.wire.send(&Pdu::AssociationRJ(rejected))?;
                Err(End::Rejected)
            }
        }
    }

    /// Answers requests until there is a reason to end.
    fn serve(&mut self) -> End {
        loop {
            if let Err(end) = self.next().and_then(|command| self.answer(&command)) {
                return end;
            }
        }
    }

    /// The next request. What the peer has sent comes in while it is silent.
    fn next(&mut self) -> Result<Command, End> {
        let Self { shared, inbox, segment, .. } = self;
        let (limits, began) = (shared.options.limits, Instant::now());
        let is_stopping = || shared.stopping.load(Ordering::SeqCst);
        if is_stopping() {
            return Err(End::Stopped);
        }
        inbox.command(|| {
            if began.elapsed() > limits.quiet {
                *segment = None;
            }
            if is_stopping() {
                Err(End::Stopped)
            } else if began.elapsed() > limits.idle {
                Err(End::Idle)
            } else {
                Ok(())
            }
        })
    }

    fn answer(&mut self, command: &Command) -> Result<(), End> {
        match command.field {
            C_STORE if command.has_data_set => self.store(command),
            C_ECHO if !command.has_data_set => self.inbox.respond(command, SUCCESS, ""),
            // Nothing is under way that could be cancelled.
            C_CANCEL => Ok(()),
            field if field & RESPONSE != 0 => Err(End::Unexpected),
            _ => {
                if command.has_data_set {
                    self.inbox.data_set(command.context).drain()?;
                }
                self.inbox.respond(command, OPERATION, "C-STORE and C-ECHO are answered")
            }
        }
    }

    fn store(&mut self, command: &Command) -> Result<(), End> {
        let kept = self.keep(command)?;
        match &kept {
            Ok(()) => {
                self.inbox.respond(command, SUCCESS, "")?;
                self.visit.stored += 1;
            }
            Err(refused) => {
                *self.visit.refused.entry(refused.word()).or_default() += 1;
                self.inbox.respond(command, refused.status(), &refused.comment())?;
            }
        }
        // What is full comes in while the next one is written.
        let limits = &self.shared.options.limits;
        if self.segment.as_ref().is_some_and(|segment| segment.is_full(limits)) {
            self.segment = None;
        }
        Ok(())
    }

    /// Reads an object to its end; keeps the header, or says why not.
    fn keep(&mut self, command: &Command) -> Result<Result<(), Refused>, End> {
        let Self { shared, inbox, segment, contexts, visit } = self;
        let mut data = inbox.data_set(command.context);
        let Some(context) = contexts.get(&command.context).filter(|context| is_of(command, context)) else {
            data.drain()?;
            return Ok(Err(Refused::Class));
        };
        let writing = match segment {
            Some(segment) => Ok(segment),
            None => shared.spool.begin(&visit.caller).map(|begun| segment.insert(begun)),
        };
        let mut record = match writing {
            Ok(segment) => segment.record(shared.options.limits.header_bytes),
            Err(unwritten) => {
                data.drain()?;
                return Ok(Err(Refused::Unwritten(unwritten)));
            }
        };
        let cut = shared.door.cut(&mut data, &context.syntax, &mut record);
        // Until the last byte has come nothing is certain: a peer that hangs up sends the object again.
        data.drain()?;
        Ok(judged(&shared.door, cut, record, command))
    }
}

/// Puts a header on the disk if it would come in, and is what the message says.
fn judged(
    door: &Door,
    cut: Result<(), Unreadable>,
    mut record: Record<'_>,
    command: &Command,
) -> Result<(), Refused> {
    let header = record.header()?;
    cut?;
    let (class, instance) = door.check(header)?;
    if class != command.class || instance != command.instance {
        return Err(Refused::Mismatch);
    }
    Ok(record.commit()?)
}

/// Whether an object is what its presentation context is for.
fn is_of(command: &Command, context: &Context) -> bool {
    context.class == command.class && context.class != VERIFICATION
}
