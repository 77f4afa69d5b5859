//! The tape against another reader of JSON, and what only it refuses.

use proptest::prelude::*;
use serde_json::Value as Plain;

use super::*;

/// A value of a tape in the form of the other reader.
fn plain(value: Value<'_>) -> Plain {
    match value.kind() {
        Kind::Object => value.members().map(|(name, value)| (name.into_owned(), plain(value))).collect(),
        Kind::Array => value.items().map(plain).collect(),
        Kind::Text | Kind::Escaped => value.text().unwrap().into_owned().into(),
        Kind::Number => serde_json::from_str(value.number().unwrap()).unwrap_or("huge".into()),
        Kind::True => true.into(),
        Kind::False => false.into(),
        Kind::Null => Plain::Null,
    }
}

fn read(text: &str) -> Result<Plain, Fault> {
    Tape::default().read(text).map(|document| plain(document.root()))
}

fn any_json() -> impl Strategy<Value = Plain> {
    let scalar = prop_oneof![
        Just(Plain::Null),
        any::<bool>().prop_map(Plain::from),
        any::<i64>().prop_map(Plain::from),
        any::<i32>().prop_map(|eighths| Plain::from(f64::from(eighths) / 8.0)),
        any::<String>().prop_map(Plain::from),
        "[ -~]{0,40}".prop_map(Plain::from),
    ];
    scalar.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Plain::from),
            proptest::collection::btree_map("[a-d\\\\\"é]{0,3}", inner, 0..8)
                .prop_map(|members| Plain::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_another_writer_writes_reads_back(value in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        prop_assert_eq!(read(&text.unwrap()).unwrap(), value);
    }

    #[test]
    fn a_text_that_was_cut_or_altered_is_json_here_if_and_only_if_it_is_elsewhere(
        value in any_json(), at in 0_usize..200, byte in "[ -~]", cut: bool,
    ) {
        let mut text = serde_json::to_string(&value).unwrap();
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        if cut { text.truncate(at) } else { text.insert_str(at, &byte) }
        // The other reader takes the last of two members with one name and refuses huge numbers.
        match (read(&text), serde_json::from_str::<Plain>(&text)) {
            (Ok(here), Ok(there)) => prop_assert_eq!(here, there),
            (Err(Fault::Twice(_)), Ok(_)) | (Err(_), Err(_)) => {}
            (Ok(_), Err(e)) => prop_assert!(e.to_string().contains("out of range"), "{} {}", e, text),
            (Err(e), Ok(_)) => prop_assert!(false, "{e:?} {text}"),
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(text in any::<String>()) {
        let _ = read(&text);
    }
}

#[test]
fn members_are_found_by_name_also_behind_escapes_and_large_values() {
    let text = r#"{"a":[{"b":1},[2]],"bc":{"a":3},"\u0062":"x\ny","d":"é"}"#;
    let mut tape = Tape::default();
    let document = tape.read(text).unwrap();
    let root = document.root();
    assert_eq!(root.get("bc").unwrap().get("a").unwrap().number(), Some("3"));
    assert_eq!(root.text_of("b").unwrap(), "x\ny");
    assert_eq!(root.text_of("d").unwrap(), "é");
    assert!(root.get("c").is_none() && root.get("a").unwrap().get("b").is_none());
    assert_eq!(root.get("a").unwrap().items().count(), 2);
}

#[test]
fn numbers_keep_every_digit() {
    for number in ["1.0", "1.00", "-0", "123456789012345678901234567890", "1e400"] {
        let mut tape = Tape::default();
        assert_eq!(tape.read(number).unwrap().root().number(), Some(number));
    }
}

#[test]
fn every_fault_is_told_apart() {
    let deep = format!("{}{}", "[".repeat(DEPTH + 1), "]".repeat(DEPTH + 1));
    let very_deep = "[".repeat(100_000);
    for (text, fault) in [
        ("", Fault::Cut),
        ("{\"a\":[1,", Fault::Cut),
        ("\"abc", Fault::Cut),
        ("tru", Fault::Cut),
        ("{\"a\" 1}", Fault::Unexpected(5)),
        ("{} {}", Fault::Unexpected(3)),
        ("NaN", Fault::Unexpected(0)),
        ("01", Fault::Unexpected(1)),
        ("[1,]", Fault::Unexpected(3)),
        ("\u{feff}{}", Fault::Unexpected(0)),
        ("\"a\nb\"", Fault::Control(2)),
        (r#""\ud800""#, Fault::Escape(1)),
        (r#""\udc00\ud800""#, Fault::Escape(1)),
        (r#""\x""#, Fault::Escape(1)),
        (r#"{"a":1,"b":2,"a":3}"#, Fault::Twice(19)),
        (r#"{"a":1,"\u0061":3}"#, Fault::Twice(18)),
        (deep.as_str(), Fault::Deep(DEPTH)),
        (very_deep.as_str(), Fault::Deep(DEPTH)),
    ] {
        assert_eq!(read(text), Err(fault), "{}", text.get(..20).unwrap_or(text));
    }
    assert_eq!(read(r#""\ud83d\ude00""#).unwrap(), Plain::from("😀"));
}
