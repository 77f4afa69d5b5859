//! Texts made comparable: people search "Adenocarcinoma, pancreático" and `PROSTATA ` and mean the same
//! words.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Lower case, without accents, with single spaces between words and none around them.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        push_words(&mut folded, text.bytes().map(|b| char::from(b.to_ascii_lowercase())));
    } else {
        let plain = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
        push_words(&mut folded, plain.flat_map(|c| without_stroke(c).into_iter().flatten()));
    }
    folded
}

/// Letters that Unicode does not decompose, as people type them without the right keyboard.
fn without_stroke(c: char) -> [Option<char>; 2] {
    match c {
        'ß' => [Some('s'), Some('s')],
        'æ' => [Some('a'), Some('e')],
        'œ' => [Some('o'), Some('e')],
        'ø' => [Some('o'), None],
        'ł' => [Some('l'), None],
        'đ' => [Some('d'), None],
        'ı' => [Some('i'), None],
        _ => [Some(c), None],
    }
}

fn push_words(folded: &mut String, chars: impl Iterator<Item = char>) {
    let mut gap = false;
    for c in chars {
        if c.is_whitespace() || c == '\0' {
            gap = !folded.is_empty();
            continue;
        }
        if std::mem::take(&mut gap) {
            folded.push(' ');
        }
        folded.push(c);
    }
}

/// At most `limit` characters of a text, for messages.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_spaces_do_not_tell_texts_apart() {
        assert_eq!(fold("  Próstata\t GLAND\0"), "prostata gland");
        assert_eq!(fold("Schädel"), fold("SCHADEL"));
        assert_eq!(fold("Større Łódź groß"), "storre lodz gross");
        assert_eq!(fold(""), "");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shorten("äöü", 2), "äö...");
        assert_eq!(shorten("äö", 2), "äö");
    }
}
