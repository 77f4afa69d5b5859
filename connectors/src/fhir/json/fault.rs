//! Why a text is not JSON that can be relied on.

/// What is wrong, and at which byte. The text itself is never shown: it is a patient's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It ends before its value does.
    #[error("it ends in the middle of a value")]
    Cut,
    /// Something that JSON does not know there.
    #[error("byte {0} begins no JSON value, name, comma or bracket that could stand there")]
    Unexpected(usize),
    /// A control character inside a text.
    #[error("byte {0} is a control character inside a text")]
    Control(usize),
    /// An escape that means nothing.
    #[error("byte {0} begins an escape that means no character")]
    Escape(usize),
    /// One object names a member twice.
    #[error("the object that ends at byte {0} has two members of one name")]
    Twice(usize),
    /// Deeper than any resource.
    #[error("it is nested more than 128 deep at byte {0}")]
    Deep(usize),
    /// Longer than offsets reach.
    #[error("it is longer than 4 GiB")]
    Long,
    /// Not UTF-8.
    #[error("it is not text in UTF-8")]
    Encoding,
}
