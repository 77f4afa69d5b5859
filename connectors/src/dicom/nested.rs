//! Passes over sequences whose end is not known beforehand (PS3.5 section 7.5), without recursion.

use std::io::{Read, Seek};

use super::element::{Coding, DELIMITERS, Head, UNDEFINED, Vr};
use super::unreadable::Unreadable;
use super::window::Window;

/// So deep sequences may be nested. Structured reports reach about ten.
pub(super) const DEPTH: usize = 64;

const ITEM: u16 = 0xE000;
const ITEM_END: u16 = 0xE00D;
const SEQUENCE_END: u16 = 0xE0DD;

/// Where the walk stands.
#[derive(Clone, Copy)]
enum Level {
    /// Between the items of a sequence.
    Sequence(Coding),
    /// Between the elements of an item without length.
    Item(Coding),
}

/// Skips the value of `head`, an element of undefined length.
pub(super) fn skip<R: Read + Seek>(
    window: &mut Window<'_, R>,
    head: Head,
    coding: Coding,
) -> Result<(), Unreadable> {
    let mut levels = vec![Level::Sequence(inside(head, coding))];
    while let Some(level) = levels.last().copied() {
        match level {
            Level::Sequence(coding) => match item(window, coding)? {
                Step::In => levels.push(Level::Item(in_item(window, coding)?)),
                Step::On => {}
                Step::Out => drop(levels.pop()),
            },
            Level::Item(coding) => {
                let head = Head::read(window, coding)?;
                match (head.tag.group, head.tag.element, head.length) {
                    (DELIMITERS, ITEM_END, _) => drop(levels.pop()),
                    // The sequence ends without the end of its item.
                    (DELIMITERS, SEQUENCE_END, _) => levels.truncate(levels.len().saturating_sub(2)),
                    (_, _, UNDEFINED) if levels.len() >= 2 * DEPTH => return Err(Unreadable::NestingLimit),
                    (_, _, UNDEFINED) => levels.push(Level::Sequence(inside(head, coding))),
                    _ => skip_value(window, head)?,
                }
            }
        }
    }
    Ok(())
}

/// What follows in a sequence.
enum Step {
    /// An item without length.
    In,
    /// An item that was skipped.
    On,
    /// The end.
    Out,
}

fn item<R: Read + Seek>(window: &mut Window<'_, R>, coding: Coding) -> Result<Step, Unreadable> {
    let head = Head::read(window, coding)?;
    match (head.tag.group, head.tag.element, head.length) {
        (DELIMITERS, SEQUENCE_END, _) => Ok(Step::Out),
        (DELIMITERS, ITEM, UNDEFINED) => Ok(Step::In),
        (DELIMITERS, ITEM, _) => skip_value(window, head).map(|()| Step::On),
        _ => Err(Unreadable::NoDelimiter),
    }
}

fn skip_value<R: Read + Seek>(window: &mut Window<'_, R>, head: Head) -> Result<(), Unreadable> {
    window.check_claim(head.tag, head.length)?;
    window.skip(head.length)
}

/// The encoding of the items of a sequence: those of UN are implicit (PS3.5 section 6.2.2).
fn inside(head: Head, coding: Coding) -> Coding {
    if head.vr == Vr::UN { Coding::Implicit } else { coding }
}

/// The encoding in an item, by its first element: writers of UN do not agree.
fn in_item<R: Read + Seek>(window: &mut Window<'_, R>, coding: Coding) -> Result<Coding, Unreadable> {
    Ok(match (coding, window.peek::<8>()?) {
        (Coding::Implicit, Some(&[_, _, _, _, e, f, _, _])) if Vr([e, f]).is_known() => Coding::Explicit,
        _ => coding,
    })
}
