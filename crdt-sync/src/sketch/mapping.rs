//! Which cells a symbol goes to.

/// The cells of one symbol, an infinite ascending sequence from cell 0 on.
///
/// Cell `i` is in the sequence of a fraction of `1 / (1 + i / 2)` of all symbols (Yang, Gilad and Alizadeh,
/// "Practical Rateless Set Reconciliation", SIGCOMM 2024): so whatever the number of differences, some cells hold
/// about one of them. From cell `i` the next one is found by a uniform `u`: past `i`, no cell up to `j` is
/// drawn with probability `(i + 1)(i + 2) / ((j + 1)(j + 2))`, hence `j + 1.5 = (i + 1.5) / sqrt(u)` closely.
///
/// All is integer arithmetic, the root a table with linear interpolation, so that the sequence is the same
/// everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// A multiplicative congruential generator modulo 2^64; its low bits are poor and not used.
    state: u64,
    index: u32,
}

impl Mapping {
    /// The sequence of a seed, of which the lowest bit does not count.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed | 1, index: 0 }
    }

    /// The cell where the sequence stands, 0 at first.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Goes on to the next cell. Past [`MAX_CELLS`](super::MAX_CELLS) there is nothing to tell, and the sequence
    /// stands still at `u32::MAX`.
    pub fn advance(&mut self) {
        if self.index as usize >= super::MAX_CELLS {
            self.index = u32::MAX;
            return;
        }
        self.state = self.state.wrapping_mul(MULTIPLIER);
        let factor = inverse_root(self.state >> 32);
        // Below 2^22 by the bound above, times below 2^41. Rounded up to a whole cell; at least the next one.
        let past = (2 * u64::from(self.index) + 3) * factor;
        let next = ((past >> FRACTION) - 1) >> 1;
        self.index = u32::try_from(next).unwrap_or(u32::MAX);
    }
}

/// With good spectral behaviour for its size (Steele and Vigna, 2021).
const MULTIPLIER: u64 = 0xda94_2042_e4dd_58b5;
/// The bits behind the point of [`inverse_root`].
const FRACTION: u32 = 24;

const STEP_BITS: u32 = 22;
const FIRST: usize = 1 << (30 - STEP_BITS);
const LAST: usize = 1 << (32 - STEP_BITS);
/// `1 / sqrt(k / LAST)` for `k` from `FIRST` to `LAST`: from two down to one.
static ROOTS: [u32; LAST - FIRST + 1] = roots();

const fn roots() -> [u32; LAST - FIRST + 1] {
    let mut roots = [0; LAST - FIRST + 1];
    let mut k = FIRST;
    while k <= LAST {
        let square = ((LAST as u128) << (2 * FRACTION)) / k as u128;
        #[expect(clippy::cast_possible_truncation, reason = "at most two with 24 bits behind the point")]
        let root = square.isqrt() as u32;
        roots[k - FIRST] = root;
        k += 1;
    }
    roots
}

/// `1 / sqrt(u / 2^32)` with 24 bits behind the point, for 32 random bits `u` (0 counts as 1): `u` is scaled by a
/// power of four into the last three quarters of its range, where the table reaches.
fn inverse_root(u: u64) -> u64 {
    let u = u.max(1);
    let half_shift = (u.leading_zeros() - 32) / 2;
    let scaled = u << (2 * half_shift);
    #[expect(clippy::cast_possible_truncation, reason = "at most LAST")]
    let at = (scaled >> STEP_BITS) as usize - FIRST;
    let (above, below) = (u64::from(ROOTS[at]), u64::from(ROOTS[at + 1]));
    let part = scaled & ((1 << STEP_BITS) - 1);
    (above - (((above - below) * part) >> STEP_BITS)) << half_shift
}
