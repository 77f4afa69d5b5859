//! The examples of PS3.5 annexes H to K, and what real objects get wrong.

use super::*;

fn read(terms: &str, value: &[u8]) -> Decoded {
    Charset::of(terms.as_bytes()).decode(value)
}

#[track_caller]
fn reads(terms: &str, value: &[u8], text: &str) {
    assert_eq!(read(terms, value), Decoded::Text(text.to_owned()), "{terms}");
}

#[test]
fn single_byte_sets_are_read() {
    for (terms, value, text) in [
        ("ISO_IR 100", &b"Buc^J\xe9r\xf4me"[..], "Buc^Jérôme"),
        ("ISO_IR 100 ", b"\xc4neas^R\xfcdiger", "Äneas^Rüdiger"),
        ("ISO_IR 101", b"Wa\xb3\xeasa", "Wałęsa"),
        ("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
        ("ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea", "قباني"),
        ("ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
        ("ISO_IR 144", b"\xbb\xee\xda\x63\xd5\xdc\xd1\xe3\xe0\xd3", "Люкcембург"),
        ("ISO_IR 148", b"\xc7avu\xfeo\xf0lu", "Çavuşoğlu"),
        ("ISO_IR 166", b"\xb9\xd2\xc1\xca\xa1\xd8\xc5", "นามสกุล"),
        ("ISO_IR 203", b"\xa4", "€"),
        ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ] {
        reads(terms, value, text);
    }
}

#[test]
fn whole_sets_are_read_and_a_backslash_within_a_character_separates_nothing() {
    reads("ISO_IR 192", "Wang^XiaoDong=王^小东".as_bytes(), "Wang^XiaoDong=王^小东");
    reads("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东");
    reads("GBK", b"\x81\x5c", "乗");
}

#[test]
fn escapes_name_the_sets_of_east_asia() {
    reads(
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    );
    reads(
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    );
    reads(
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    );
    reads(
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
        "Zhang^XiaoDong=张^小东",
    );
    reads("\\ISO 2022 IR 159", b"\x1b$(D\x30\x21\x1b(B", "丂");
}

#[test]
fn the_first_set_is_in_force_again_behind_a_separator() {
    reads("ISO 2022 IR 100\\ISO 2022 IR 144", b"\xe9\x1b-L\xe9\\\xe9", "éщ\\é");
}

#[test]
fn what_is_not_in_the_set_is_no_text() {
    for (terms, value) in [
        ("ISO_IR 192", &b"M\xfcller"[..]),
        ("\\ISO 2022 IR 87", b"\x1b$B;"),
        ("\\ISO 2022 IR 149", b"\x1b$)C\xfb"),
        ("ISO 2022 IR 100", b"\x1b[31mred"),
        ("ISO 2022 IR 100", b"\x1b"),
        ("GB18030", b"\xff\xff"),
    ] {
        assert_eq!(read(terms, value), Decoded::Broken, "{terms}");
    }
}

#[test]
fn without_a_known_set_a_guess_is_made_and_told() {
    for terms in ["", "ISO_IR 999", "LATIN1", "\\ISO 2022 IR 87"] {
        assert_eq!(read(terms, b"M\xfcller"), Decoded::Guessed("Müller".into()), "{terms}");
    }
    assert_eq!(read("", "Müller".as_bytes()), Decoded::Guessed("Müller".into()));
}
