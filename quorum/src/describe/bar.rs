//! A row of marks with a bar after the last one needed.

use core::fmt;

/// Absent marks drawn one by one; beyond that a number, or a picture could be four thousand million marks wide.
const MISSING_DRAWN: u64 = 16;

/// Draws each mark, which counts for as many votes as it comes with, and the bar where they are enough.
///
/// What is missing to the left of the bar is drawn as `_`.
pub(super) fn bar<M: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    need: u64,
    between: &str,
    marks: impl IntoIterator<Item = (u64, M)>,
) -> fmt::Result {
    let mut row = Row { f, between, after_mark: false };
    let mut missing = need;
    row.f.write_str("[")?;
    for (votes, mark) in marks {
        row.draw(mark)?;
        if missing > 0 {
            missing = missing.saturating_sub(votes);
            if missing == 0 {
                row.stand()?;
            }
        }
    }
    match missing {
        0 => {}
        1..=MISSING_DRAWN => {
            for _ in 0..missing {
                row.draw("_")?;
            }
            row.stand()?;
        }
        _ => {
            row.draw(format_args!("_ x {missing}"))?;
            row.stand()?;
        }
    }
    row.f.write_str("]")
}

struct Row<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    between: &'a str,
    /// Whether the last thing drawn was a mark.
    after_mark: bool,
}

impl Row<'_, '_> {
    fn draw(&mut self, mark: impl fmt::Display) -> fmt::Result {
        if self.after_mark {
            self.f.write_str(self.between)?;
        }
        self.after_mark = true;
        write!(self.f, "{mark}")
    }

    fn stand(&mut self) -> fmt::Result {
        self.after_mark = false;
        self.f.write_str("|")
    }
}
