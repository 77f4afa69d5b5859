//! Walks through sequences (PS3.5 section 7.5) without recursion: what is wanted of their items is handed on, the rest
//! is passed over.

use std::io::{Read, Seek};

use caim_ontology::Tag;

use super::element::{Coding, DELIMITERS, Head, UNDEFINED, Vr};
use super::unreadable::Unreadable;
use super::window::Window;

/// So deep sequences may be nested. Structured reports reach about ten.
pub(super) const DEPTH: usize = 64;

const ITEM: u16 = 0xE000;
const ITEM_END: u16 = 0xE00D;
const SEQUENCE_END: u16 = 0xE0DD;
/// Bytes of the shortest element.
const SHORTEST: u64 = 8;

/// Hears of a sequence that is walked through.
pub(super) trait Items {
    /// Whether the items of a sequence are wanted, one that stands in the present item.
    fn wants(&self, sequence: Tag) -> bool;

    /// The items of a wanted sequence follow.
    fn enter(&mut self, sequence: Tag);

    /// The items of the sequence that was entered last are over.
    fn leave(&mut self);

    /// An item begins.
    fn begin(&mut self) -> Result<(), Unreadable> {
        Ok(())
    }

    /// An item ends.
    fn end(&mut self) {}

    /// An element of the present item of a known length that is not a wanted sequence: to be read or skipped.
    fn element<R: Read + Seek>(
        &mut self,
        window: &mut Window<'_, R>,
        head: Head,
        coding: Coding,
    ) -> Result<(), Unreadable>;

    /// An unwanted sequence of unknown length is passed over.
    fn passed(&mut self, sequence: Tag);
}

/// Hears of nothing.
struct Nobody;

/// Where the walk stands.
#[derive(Clone, Copy)]
struct Level {
    is_item: bool,
    /// Whether it is told of: it is wanted, and so is all around it.
    is_told: bool,
    coding: Coding,
    /// The position behind it; `None` where a delimiter tells.
    end: Option<u64>,
}

/// Passes over the value of `head`, an element of undefined length.
pub(super) fn skip<R: Read + Seek>(
    window: &mut Window<'_, R>,
    head: Head,
    coding: Coding,
) -> Result<(), Unreadable> {
    let level = sequence(window, head, coding)?;
    through(window, Level { is_told: false, ..level }, &mut Nobody)
}

/// Whether an element can be a sequence.
pub(super) fn is_sequence(head: Head) -> bool {
    [Vr(*b"SQ"), Vr::UN, Vr::NONE].contains(&head.vr)
}

/// Walks through the sequence of `head` and what is wanted below it.
pub(super) fn walk<R: Read + Seek, I: Items>(
    window: &mut Window<'_, R>,
    head: Head,
    coding: Coding,
    items: &mut I,
) -> Result<(), Unreadable> {
    let level = sequence(window, head, coding)?;
    items.enter(head.tag);
    through(window, level, items)
}

fn through<R: Read + Seek, I: Items>(
    window: &mut Window<'_, R>,
    top: Level,
    items: &mut I,
) -> Result<(), Unreadable> {
    let mut levels = vec![top];
    while let Some(level) = levels.last().copied() {
        if level.is_over(window)? {
            pop(&mut levels, items);
            continue;
        }
        let head = Head::read(window, level.coding)?;
        match (head.tag.group, head.tag.element) {
            (DELIMITERS, SEQUENCE_END) if level.is_item => {
                // The sequence ends without the end of its item.
                pop(&mut levels, items);
                pop(&mut levels, items);
            }
            (DELIMITERS, ITEM_END) if level.is_item => pop(&mut levels, items),
            (DELIMITERS, SEQUENCE_END) => pop(&mut levels, items),
            (DELIMITERS, ITEM) if !level.is_item => {
                if !level.is_told && head.length != UNDEFINED {
                    skip_value(window, head)?;
                    continue;
                }
                levels.push(item(window, head, level)?);
                if level.is_told {
                    items.begin()?;
                }
            }
            _ if !level.is_item => return Err(Unreadable::NoDelimiter),
            _ => levels.extend(element(window, head, level, items)?),
        }
        if levels.len() > 2 * DEPTH {
            return Err(Unreadable::NestingLimit);
        }
    }
    Ok(())
}

/// An element of an item: read, skipped, or the next level.
fn element<R: Read + Seek, I: Items>(
    window: &mut Window<'_, R>,
    head: Head,
    level: Level,
    items: &mut I,
) -> Result<Option<Level>, Unreadable> {
    if level.is_told && is_sequence(head) && items.wants(head.tag) {
        let inner = sequence(window, head, level.coding)?;
        items.enter(head.tag);
        return Ok(Some(inner));
    }
    if head.length == UNDEFINED {
        if level.is_told {
            items.passed(head.tag);
        }
        return Ok(Some(Level { is_told: false, ..sequence(window, head, level.coding)? }));
    }
    if level.is_told {
        return items.element(window, head, level.coding).map(|()| None);
    }
    skip_value(window, head).map(|()| None)
}

/// Leaves the innermost level.
fn pop(levels: &mut Vec<Level>, items: &mut impl Items) {
    match levels.pop() {
        Some(level) if !level.is_told => {}
        Some(level) if level.is_item => items.end(),
        Some(_) => items.leave(),
        None => {}
    }
}

impl Level {
    /// Whether nothing more of it follows. Less than an element at its end is padding.
    fn is_over<R: Read + Seek>(&self, window: &mut Window<'_, R>) -> Result<bool, Unreadable> {
        let Some(end) = self.end else { return Ok(false) };
        let left = end.saturating_sub(window.position());
        if left >= SHORTEST {
            return Ok(false);
        }
        window.skip(u32::try_from(left).unwrap_or_default())?;
        Ok(true)
    }
}

/// The sequence whose head was read. The items of UN are implicit (PS3.5 section 6.2.2).
fn sequence<R: Read + Seek>(window: &Window<'_, R>, head: Head, coding: Coding) -> Result<Level, Unreadable> {
    let coding = if head.vr == Vr::UN { Coding::Implicit } else { coding };
    Ok(Level { is_item: false, is_told: true, coding, end: end(window, head)? })
}

/// The item whose head was read. Its first element says how it is encoded: writers of UN do not agree.
fn item<R: Read + Seek>(window: &mut Window<'_, R>, head: Head, around: Level) -> Result<Level, Unreadable> {
    let end = end(window, head)?;
    let coding = match (around.coding, window.peek::<8>()?) {
        (Coding::Implicit, Some(&[_, _, _, _, e, f, _, _])) if Vr([e, f]).is_known() => Coding::Explicit,
        _ => around.coding,
    };
    Ok(Level { is_item: true, coding, end, ..around })
}

/// The position behind the value of an element.
fn end<R: Read + Seek>(window: &Window<'_, R>, head: Head) -> Result<Option<u64>, Unreadable> {
    if head.length == UNDEFINED {
        return Ok(None);
    }
    window.check_claim(head.tag, head.length)?;
    Ok(Some(window.position() + u64::from(head.length)))
}

/// Passes over a value of known length.
pub(super) fn skip_value<R: Read + Seek>(window: &mut Window<'_, R>, head: Head) -> Result<(), Unreadable> {
    window.check_claim(head.tag, head.length)?;
    window.skip(head.length)
}

impl Items for Nobody {
    fn wants(&self, _sequence: Tag) -> bool {
        false
    }

    fn enter(&mut self, _sequence: Tag) {}

    fn leave(&mut self) {}

    fn element<R: Read + Seek>(
        &mut self,
        window: &mut Window<'_, R>,
        head: Head,
        _coding: Coding,
    ) -> Result<(), Unreadable> {
        skip_value(window, head)
    }

    fn passed(&mut self, _sequence: Tag) {}
}
