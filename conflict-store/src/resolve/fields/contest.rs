//! Which values of a field stand against each other.

use smallvec::SmallVec;

/// What a field was before it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldBase<'a> {
    /// It had this value; `None` when it was not there.
    Known(Option<&'a [u8]>),
    /// There is no one value the changes started from: an earlier question about this field was
    /// answered in more than one way, or more than two values stand that started from different
    /// ones.
    Ambiguous,
}

impl<'a> FieldBase<'a> {
    /// What all of these agree on.
    pub(super) fn common(bases: impl IntoIterator<Item = Self>) -> Self {
        let agree = |a, b| if a == b { a } else { Self::Ambiguous };
        bases.into_iter().reduce(agree).unwrap_or(Self::Known(None))
    }

    /// Whether a side that has this value left the field as it was.
    fn is(self, value: Option<&'a [u8]>) -> bool {
        self == Self::Known(value)
    }
}

/// The sides whose value of one field stands, given the value on each side and the base of each
/// two, by the smaller index first. O(sides²).
///
/// Between two sides this is the three-way merge: the value of one that left the field as it was
/// gives way to that of one that changed it. Among more, a value stands unless it gives way to
/// another. That depends on no order, and asks each two sides for what *they* have in common: a
/// change that one side made of another's is not mistaken for a concurrent one.
///
/// Sides that changed a field and then changed it back can make values give way in a circle. Then
/// all stand.
pub(super) fn standing<'a>(
    values: &[Option<&'a [u8]>],
    base: impl Fn(usize, usize) -> FieldBase<'a>,
) -> SmallVec<[usize; 4]> {
    let gives_way = |side: usize| {
        (0..values.len()).any(|other| {
            values[other] != values[side] && base(side.min(other), side.max(other)).is(values[side])
        })
    };
    let standing: SmallVec<[usize; 4]> = (0..values.len()).filter(|side| !gives_way(*side)).collect();
    if standing.is_empty() { (0..values.len()).collect() } else { standing }
}
