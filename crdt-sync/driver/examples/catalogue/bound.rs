//! The least that two replicas must tell each other, however they compare what they hold.

/// What one side of a session has to be told: which of its keys to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// How many keys it held, at least.
    pub(crate) keys: usize,
    /// How many of them it sent.
    pub(crate) sent: u64,
}

impl Answer {
    /// The information-theoretic lower bound in bits. Had the side known how many of its keys the other lacks or holds
    /// in another version, it would still have to be told which: one of C(keys, sent) answers. What two sides have to
    /// be told adds up, as each part of it can come from the other side only.
    pub(crate) fn least_bits(self) -> f64 {
        (0..self.sent).fold(0.0, |bits, index| bits + self.choices_left(index).log2())
    }

    /// By how much the number of answers grows with one more key to choose.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn choices_left(self, chosen: u64) -> f64 {
        let keys = (self.keys as u64).max(self.sent);
        (keys - chosen) as f64 / (chosen + 1) as f64
    }
}
