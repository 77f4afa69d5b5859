//! A listener from end to end: what is sent comes in as from files, once, and whoever sends something else harms nobody.

mod durable;
mod scu;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use caim_connectors::{
    Code, Limits, ListenOptions, Listener, Quiet, Report, Stopper, Visit, ingest_received, rollback,
};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_ul::pdu::{Pdu, PresentationContextResultReason as Reason};

use crate::dicom::objects::Object;
use crate::fixture::{Node, table};
use scu::{CT, DEFLATED, EXPLICIT, IMPLICIT, Scu, Sent, VERIFICATION, reasons};

const BIG: &str = "1.2.840.10008.1.2.2";
const SEGMENTATION: &str = "1.2.840.10008.5.1.4.1.1.66.4";

fn options() -> ListenOptions {
    ListenOptions {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        ae_title: "CAIM".to_owned(),
        callers: Vec::new(),
        unencrypted: false,
        limits: Limits { quiet: Duration::ZERO, ..Limits::default() },
    }
}

/// Runs a listener of the node while `peers` act, and until all is committed. Gives the reports and visits.
fn listening(
    node: &Node,
    options: ListenOptions,
    peers: impl FnOnce(SocketAddr),
) -> (Vec<Report>, Vec<Visit>) {
    let visits = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&visits);
    let listener =
        Listener::open(&node.folder().join("spool"), &node.models, options, move |visit: &Visit| {
            told.lock().unwrap().push(visit.clone());
        });
    let listener = listener.unwrap();
    let (address, stopper, mut reports) = (listener.address(), listener.stopper(), Vec::new());
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let Node { warehouse, models, identity, secret, options, .. } = node;
            listener.run(|received| {
                let report =
                    ingest_received(warehouse, models, identity, secret, received, options, &Quiet).unwrap();
                assert_eq!(report.source, received.source());
                reports.push(report);
                true
            })
        });
        let stopping = Stopping(stopper);
        peers(address);
        drop(stopping);
        assert!(running.join().unwrap().unwrap(), "all is committed");
    });
    let left = fs::read_dir(node.folder().join("spool")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["lock"], "what is committed leaves the spool");
    let visits = visits.lock().unwrap().clone();
    (reports, visits)
}

/// Stops a listener, also when a test fails.
struct Stopping(Stopper);

impl Drop for Stopping {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The data set of an object, without preamble and meta group.
fn data_set(object: Object, syntax: &str) -> Vec<u8> {
    if syntax == DEFLATED {
        let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        deflated.write_all(&data_set(object, EXPLICIT)).unwrap();
        return deflated.finish().unwrap();
    }
    let bytes = object.bytes_as(syntax);
    let length = u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
    bytes[144 + length..].to_vec()
}

/// A file of a data set.
fn file(data_set: &[u8], syntax: &str) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM\x02\x00\x10\x00UI");
    let padded = syntax.len().next_multiple_of(2);
    bytes.extend(u16::try_from(padded).unwrap().to_le_bytes());
    bytes.extend(syntax.as_bytes());
    bytes.resize(132 + 8 + padded, 0);
    bytes.extend(data_set);
    bytes
}

fn image(uid: &str) -> Object {
    Object::new(uid)
        .with(tags::PATIENT_NAME, VR::PN, "SECRET^NAME")
        .with(tags::MANUFACTURER, VR::LO, "Maker")
        .with(tags::PIXEL_DATA, VR::OB, "PIXELS-OF-THE-OBJECT")
}

fn segmentation(uid: &str) -> Object {
    let segment = Object::item()
        .with_number(tags::SEGMENT_NUMBER, 1)
        .with_item(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, Object::code("4147007", "SCT", "Mass"));
    let series = Object::item().with(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.1");
    Object::new(uid)
        .of_class(SEGMENTATION, "SEG")
        .with_item(tags::REFERENCED_SERIES_SEQUENCE, series)
        .with_item(tags::SEGMENT_SEQUENCE, segment)
}

/// All rows of a table as text, without what counts patients in the order in which they came.
fn rows(node: &Node, name: &str) -> Vec<Vec<String>> {
    let rows = node.rows(name);
    let schema = rows.schema();
    let columns: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .filter(|name| *name != "_patient")
        .collect();
    node.cells(name, &columns)
}

fn refused(visit: &Visit) -> BTreeMap<&str, u64> {
    visit.refused.clone().into_iter().collect()
}

#[test]
fn objects_in_every_encoding_come_in_as_from_a_folder() {
    let (files, node) = (Node::new(), Node::new());
    let syntaxes = [EXPLICIT, IMPLICIT, BIG, DEFLATED, EXPLICIT];
    let sent: Vec<(String, &str, Vec<u8>)> = syntaxes
        .iter()
        .zip(1..)
        .map(|(syntax, n)| {
            let uid = format!("1.2.3.4.{n}");
            let object = if n == 5 { segmentation(&uid) } else { image(&uid) };
            let bytes = data_set(object, syntax);
            files.write(&format!("all/{n}.dcm"), file(&bytes, syntax));
            (uid, *syntax, bytes)
        })
        .collect();
    files.ingest(&files.source("all"));
    let (reports, visits) = listening(&node, options(), |address| {
        for (uid, syntax, bytes) in &sent {
            let class = if uid.ends_with('5') { SEGMENTATION } else { CT };
            let (mut scu, _) = Scu::call(address, ("PACS", "CAIM"), &[(class, &[syntax])]);
            assert_eq!(scu.store_as(&Sent { context: 1, class, instance: uid }, bytes), 0, "{syntax}");
            scu.release();
        }
    });
    for name in ["dicom.instance", "dicom.annotation", "dicom.series", "dicom.study"] {
        assert_eq!(rows(&node, name), rows(&files, name), "{name}");
    }
    let kept: u64 = reports.iter().map(|report| table(report, "dicom.instance").kept).sum();
    assert_eq!((kept, visits.len()), (5, 5));
    assert!(
        visits.iter().all(|visit| visit.end == "released" && visit.caller == "PACS" && visit.stored == 1)
    );
    assert!(
        reports.iter().all(|report| report.source.starts_with("dicom://PACS/") && report.format == "dicom")
    );
}

#[test]
fn each_batch_is_its_own_and_can_be_taken_back() {
    let node = Node::new();
    let mut batches = Vec::new();
    for uid in ["1.2.3.1", "1.2.3.2"] {
        let (reports, _) = listening(&node, options(), |address| {
            let mut scu = Scu::open(address, "PACS", EXPLICIT);
            assert_eq!(scu.store(uid, &data_set(image(uid), EXPLICIT)), 0);
            scu.release();
        });
        batches.extend(reports.iter().filter_map(|report| report.batch));
    }
    assert_eq!(node.count("dicom.instance"), 2, "the second day does not replace the first");
    let before = node.epoch();
    let (again, _) = listening(&node, options(), |address| {
        let mut scu = Scu::open(address, "OTHER", IMPLICIT);
        assert_eq!(scu.store("1.2.3.1", &data_set(image("1.2.3.1"), IMPLICIT)), 0);
        scu.release();
    });
    // The transfer syntax differs, which is a column: the first one stays, as with files.
    let counts = table(&again[0], "dicom.instance");
    assert_eq!((counts.kept, counts.rejected), (0, 1));
    assert_eq!((again[0].batch, node.epoch()), (None, before), "without a new row there is no new epoch");
    rollback(&node.warehouse, &node.models, &node.secret, batches[1], &Quiet).unwrap();
    assert_eq!(node.cells("dicom.instance", &["sopinstanceuid"]), [["1.2.3.1"]]);
}

#[test]
fn contexts_are_agreed_on_as_the_standard_says() {
    let node = Node::new();
    let (_, visits) = listening(&node, options(), |address| {
        let (mut scu, answer) = Scu::call(
            address,
            ("PACS", "CAIM"),
            &[
                (VERIFICATION, &[IMPLICIT]),
                (CT, &["1.2.3.4.5", "1.2.840.10008.1.2.4.202", EXPLICIT]),
                (CT, &["1.2.3.4.5"]),
                ("1.2.840.10008.5.1.4.1.2.2.1", &[IMPLICIT]),
            ],
        );
        let Pdu::AssociationAC(accepted) = answer else { panic!("{answer:?}") };
        let syntaxes: Vec<_> =
            accepted.presentation_contexts.iter().map(|context| context.transfer_syntax.as_str()).collect();
        assert_eq!(syntaxes[..2], [IMPLICIT, "1.2.840.10008.1.2.4.202"], "the first that can be read");
        assert_eq!(
            reasons(&accepted),
            [
                Reason::Acceptance,
                Reason::Acceptance,
                Reason::TransferSyntaxesNotSupported,
                Reason::AbstractSyntaxNotSupported
            ]
        );
        scu.command(0x0030, &Sent { context: 1, class: VERIFICATION, instance: "" }, false);
        assert_eq!(scu.status(), 0x0000, "C-ECHO");
        scu.command(0x0020, &Sent { context: 1, class: VERIFICATION, instance: "" }, true);
        scu.data(1, b"query", true);
        assert_eq!(scu.status(), 0x0211, "C-FIND");
        let (elsewhere, bytes) =
            (Sent { context: 1, class: CT, instance: "1.2.3" }, data_set(image("1.2.3"), IMPLICIT));
        assert_eq!(scu.store_as(&elsewhere, &bytes), 0x0122, "an image in the context of C-ECHO");
        assert_eq!(
            scu.store_as(&Sent { context: 5, ..elsewhere }, &bytes),
            0x0122,
            "in a context that was rejected"
        );
        scu.release();
    });
    assert_eq!(refused(&visits[0]), BTreeMap::from([("sop_class", 2)]));
}

#[test]
fn strangers_are_rejected() {
    let node = Node::new();
    let allowed = ListenOptions { callers: vec!["PACS".to_owned()], ..options() };
    let (_, visits) = listening(&node, allowed, |address| {
        for (titles, source) in [(("PACS", "ELSE"), "CalledAE"), (("THIEF", "CAIM"), "CallingAE")] {
            let (mut scu, answer) = Scu::call(address, titles, &[(CT, &[EXPLICIT])]);
            let Pdu::AssociationRJ(rejected) = answer else { panic!("{answer:?}") };
            assert!(format!("{rejected:?}").contains(source), "{rejected:?}");
            assert_eq!(scu.receive(), None);
        }
        Scu::open(address, "PACS", EXPLICIT).release();
    });
    // Visits end on threads of their own, so they are told in any order.
    let mut ends: Vec<_> = visits.iter().map(|visit| visit.end).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["rejected", "rejected", "released"]);
}

#[test]
fn one_association_too_many_is_told_to_come_again() {
    let node = Node::new();
    let one = ListenOptions { limits: Limits { associations: 1, ..options().limits }, ..options() };
    listening(&node, one, |address| {
        let first = Scu::open(address, "PACS", EXPLICIT);
        let (_, answer) = Scu::call(address, ("PACS", "CAIM"), &[(CT, &[EXPLICIT])]);
        let Pdu::AssociationRJ(rejected) = answer else { panic!("{answer:?}") };
        assert!(format!("{rejected:?}").contains("Transient"), "{rejected:?}");
        first.release();
    });
}

#[test]
fn who_speaks_something_else_or_hangs_up_leaves_nothing() {
    let node = Node::new();
    let whole = data_set(image("1.2.3.9"), EXPLICIT);
    let (reports, mut visits) = listening(&node, options(), |address| {
        for garbage in [
            b"GET / HTTP/1.1\r\n\r\n".as_slice(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            &[1; 300_000],
        ] {
            let mut scu = Scu::connect(address);
            // The listener may have hung up before all is written.
            drop(scu.socket.write_all(garbage));
            while scu.receive().is_some() {}
        }
        let mut half = Scu::open(address, "PACS", EXPLICIT);
        half.command(0x0001, &Sent { context: 1, class: CT, instance: "1.2.3.9" }, true);
        half.data(1, &whole, false);
        drop(half);
        let mut turned = Scu::open(address, "PACS", EXPLICIT);
        turned.data(1, &whole, true);
        assert!(matches!(turned.receive(), Some(Pdu::AbortRQ { .. })), "data without a command");
    });
    assert!(reports.is_empty());
    visits.sort_by_key(|visit| visit.end);
    let ends: Vec<_> = visits.iter().map(|visit| visit.end).collect();
    let none = "no DICOM, or malformed";
    assert_eq!(ends, [none, none, none, "out of turn", "the peer hung up"]);
}

/// Units with a few other bytes: whatever they are, the next association is served.
#[test]
fn mutations_of_units_harm_nobody() {
    let node = Node::new();
    let seed = 20_260_131_u64;
    println!("seed {seed}");
    let whole = Scu::bytes_of("PACS", &data_set(image("1.2.3.9"), EXPLICIT));
    let (_, visits) = listening(&node, options(), |address| {
        let mut state = seed;
        let mut number = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..=number(4) {
                let place = number(bytes.len().min(700));
                bytes[place] = u8::try_from(number(256)).unwrap();
            }
            bytes.truncate(bytes.len() - number(2) * number(bytes.len()));
            let mut scu = Scu::connect(address);
            drop(scu.socket.write_all(&bytes));
            drop(scu.socket.shutdown(std::net::Shutdown::Write));
            std::io::copy(&mut scu.socket, &mut std::io::sink()).ok();
        }
        let mut scu = Scu::open(address, "PACS", EXPLICIT);
        assert_eq!(scu.store("1.2.3.1", &data_set(image("1.2.3.1"), EXPLICIT)), 0);
        scu.release();
    });
    assert_eq!(visits.len(), 401);
    let uids = node.cells("dicom.instance", &["sopinstanceuid"]);
    assert!(uids.contains(&vec!["1.2.3.1".to_owned()]), "{uids:?}");
}

#[test]
fn what_cannot_come_in_is_refused_with_its_status() {
    let node = Node::new();
    let small = ListenOptions { limits: Limits { header_bytes: 64 << 10, ..options().limits }, ..options() };
    let (reports, visits) = listening(&node, small, |address| {
        let mut scu = Scu::open(address, "PACS", EXPLICIT);
        let good = data_set(image("1.2.3.1"), EXPLICIT);
        let place = good.windows(2).position(|bytes| bytes == b"P1").unwrap();
        assert_eq!(scu.store("1.2.3.1", &good[..=place]), 0xC000, "cut off");
        assert_eq!(scu.store("1.2.3.1", b"<html>nothing of the kind</html>"), 0xC000, "no object");
        let nameless = data_set(image("1.2.3.1").without(tags::SOP_INSTANCE_UID), EXPLICIT);
        assert_eq!(scu.store("1.2.3.1", &nameless), 0xC000, "without its identifier");
        assert_eq!(scu.store("1.2.3.2", &good), 0xA900, "another instance");
        let other = data_set(image("1.2.3.1").of_class(SEGMENTATION, "SEG"), EXPLICIT);
        assert_eq!(scu.store("1.2.3.1", &other), 0xA900, "another class");
        let item = || Object::item().with(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.1");
        let long = image("1.2.3.1").with_items(tags::REFERENCED_SERIES_SEQUENCE, (0..5000).map(|_| item()));
        assert_eq!(scu.store("1.2.3.1", &data_set(long, EXPLICIT)), 0xC000, "a header that is too long");
        assert_eq!(scu.store("1.2.3.1", &good), 0x0000, "the association goes on");
        scu.release();
    });
    assert_eq!(reports.len(), 1);
    assert_eq!(visits[0].stored, 1);
    let expected = [("damaged_object", 1), ("header_limit", 1), ("mismatch", 2), ("no_instance_uid", 2)];
    assert_eq!(refused(&visits[0]), BTreeMap::from(expected));
}

#[test]
fn a_full_spool_asks_to_come_again() {
    let node = Node::new();
    let small = ListenOptions { limits: Limits { spool_bytes: 450, ..options().limits }, ..options() };
    let (_, visits) = listening(&node, small, |address| {
        let mut scu = Scu::open(address, "PACS", EXPLICIT);
        assert_eq!(scu.store("1.2.3.1", &data_set(image("1.2.3.1"), EXPLICIT)), 0x0000);
        assert_eq!(scu.store("1.2.3.2", &data_set(image("1.2.3.2"), EXPLICIT)), 0xA700);
        scu.release();
    });
    assert_eq!(refused(&visits[0]), BTreeMap::from([("spool_full", 1)]));
    assert_eq!(node.count("dicom.instance"), 1);
}

#[test]
fn it_listens_beyond_this_machine_only_when_told_so() {
    let node = Node::new();
    let open = |options| Listener::open(&node.folder().join("spool"), &node.models, options, |_: &Visit| ());
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = open(ListenOptions { address: everywhere, ..options() }).err().unwrap();
    assert_eq!(error.code(), Code::Listener);
    assert!(error.fix().contains("--unencrypted"), "{error}");
    assert!(open(ListenOptions { address: everywhere, unencrypted: true, ..options() }).is_ok());
    let long = ListenOptions { ae_title: "SEVENTEEN-LETTERS".to_owned(), ..options() };
    assert_eq!(open(long).err().unwrap().code(), Code::Listener);
}
