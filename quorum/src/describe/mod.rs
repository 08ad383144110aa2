//! Configurations in plain words, tallies as pictures.

mod answers;
mod bar;
mod logs;
mod votes;
mod words;

pub use words::Description;
pub(crate) use words::Replicas;

/// The picture of a tally, ready to be displayed: what its `describe` returns.
#[derive(Debug)]
pub struct Picture<'a, T> {
    tally: &'a T,
}

impl<'a, T> Picture<'a, T> {
    const fn of(tally: &'a T) -> Self {
        Self { tally }
    }
}

impl<T> Clone for Picture<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Picture<'_, T> {}
