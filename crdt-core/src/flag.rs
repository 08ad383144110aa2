//! Flags: one bit that many replicas switch, and a rule for which way wins.

use crate::dotted::{Causal, DotSet, causal_type};
use crate::{CausalContext, DotsExhausted, Writer};

/// A flag that anyone may enable and disable; of a concurrent enabling and disabling, the *enabling* wins.
///
/// A fresh flag is **disabled**. Enabling mints a dot, and the flag is enabled while some dot is alive.
/// Disabling drops the dots that are alive *here*, so an enabling it did not see survives it. Nothing is kept
/// of what was dropped.
///
/// Enable-wins and disable-wins are the same flag read with the words exchanged; what to choose is which of
/// the two must not be undone by somebody who did not know of it. Where that is disabling, take [`DwFlag`].
///
/// Every operation is O(live dots), of which there is rarely more than one.
///
/// Source: Almeida, Shoker, Baquero, "Delta State Replicated Data Types" (2018).
///
/// ```
/// use crdt_core::{Crdt, EwFlag, ReplicaId, Writer};
///
/// let [ann, bob] = [1, 2].map(|n| Writer::unchecked(ReplicaId::from_u128(n)));
/// let mut favourite = EwFlag::initially_disabled();
/// favourite.enable(ann)?;
///
/// let mut copy = favourite.clone();
/// let disabling = copy.disable();
/// favourite.enable(bob)?;
///
/// assert!(!favourite.merge(&disabling).is_changed(), "what it disables, Bob's enabling replaced already");
/// assert!(favourite.is_enabled());
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct EwFlag {
    causal: Causal<DotSet>,
}

/// A flag that anyone may enable and disable; of a concurrent enabling and disabling, the *disabling* wins.
///
/// A fresh flag is **enabled**: it is the dual of [`EwFlag`], in which dots stand for disablings. Disabling
/// mints a dot, and the flag is disabled while some dot is alive. Enabling drops the dots that are alive
/// *here*, so a disabling it did not see survives it. Nothing is kept of what was dropped.
///
/// For a flag that is to start disabled, whoever creates it disables it and hands on that state: a replica
/// that started from bottom reads "enabled" until it has heard of it.
///
/// Every operation is O(live dots), of which there is rarely more than one.
///
/// Source: Almeida, Shoker, Baquero, "Delta State Replicated Data Types" (2018): the dual of its
/// enable-wins flag, so that bottom, a flag without dots, reads as enabled.
///
/// ```
/// use crdt_core::{Crdt, DwFlag, ReplicaId, Writer};
///
/// let [ann, bob] = [1, 2].map(|n| Writer::unchecked(ReplicaId::from_u128(n)));
/// let mut sharing = DwFlag::initially_enabled();
/// let mut copy = sharing.clone();
/// sharing.disable(ann)?;
/// let enabling = copy.enable();
/// assert!(enabling.is_bottom(), "it was enabled there");
///
/// copy.disable(bob)?;
/// let enabling = copy.enable();
/// let _ = sharing.merge(&enabling);
/// assert!(!sharing.is_enabled(), "the enabling did not see Ann's disabling");
/// # Ok::<(), crdt_core::DotsExhausted>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct DwFlag {
    causal: Causal<DotSet>,
}

impl EwFlag {
    /// The flag nobody has touched: disabled, and bottom.
    pub fn initially_disabled() -> Self {
        Self::default()
    }

    /// Enables the flag and returns the delta: a fresh dot, and the dots it replaces.
    ///
    /// Enabling what is enabled already is a new enabling, which a concurrent disabling will not undo. When
    /// the replica has no counters left, nothing is changed.
    pub fn enable(&mut self, me: Writer<'_>) -> Result<Self, DotsExhausted> {
        mint(&mut self.causal, me).map(Self::from)
    }

    /// Disables the flag, as far as enablings have been seen here, and returns the delta, whose context is
    /// exactly the dots dropped: bottom if the flag was disabled.
    pub fn disable(&mut self) -> Self {
        drop_all(&mut self.causal).into()
    }

    /// Whether the flag is enabled.
    pub fn is_enabled(&self) -> bool {
        !self.store().is_empty()
    }

    /// Every enabling seen, whether or not it was undone since.
    pub const fn context(&self) -> &CausalContext {
        self.causal.context()
    }

    /// The enablings that are alive.
    pub const fn store(&self) -> &DotSet {
        self.causal.store()
    }
}

impl DwFlag {
    /// The flag nobody has touched: enabled, and bottom.
    pub fn initially_enabled() -> Self {
        Self::default()
    }

    /// Disables the flag and returns the delta: a fresh dot, and the dots it replaces.
    ///
    /// Disabling what is disabled already is a new disabling, which a concurrent enabling will not undo. When
    /// the replica has no counters left, nothing is changed.
    pub fn disable(&mut self, me: Writer<'_>) -> Result<Self, DotsExhausted> {
        mint(&mut self.causal, me).map(Self::from)
    }

    /// Enables the flag, as far as disablings have been seen here, and returns the delta, whose context is
    /// exactly the dots dropped: bottom if the flag was enabled.
    pub fn enable(&mut self) -> Self {
        drop_all(&mut self.causal).into()
    }

    /// Whether the flag is enabled, as it is before anyone touched it.
    pub fn is_enabled(&self) -> bool {
        self.store().is_empty()
    }

    /// Every disabling seen, whether or not it was undone since.
    pub const fn context(&self) -> &CausalContext {
        self.causal.context()
    }

    /// The disablings that are alive.
    pub const fn store(&self) -> &DotSet {
        self.causal.store()
    }
}

/// Replaces all live dots by a fresh one.
fn mint(dots: &mut Causal<DotSet>, me: Writer<'_>) -> Result<Causal<DotSet>, DotsExhausted> {
    let fresh = dots.context().next_dot(me.id())?;
    let delta = Causal::delta(DotSet::from(fresh), dots.live());
    let (live, seen) = dots.parts_mut();
    *live = DotSet::from(fresh);
    seen.insert(fresh);
    Ok(delta)
}

fn drop_all(dots: &mut Causal<DotSet>) -> Causal<DotSet> {
    let dropped = dots.live();
    let (live, _) = dots.parts_mut();
    *live = DotSet::new();
    Causal::from_parts_unchecked(DotSet::new(), dropped)
}

causal_type!(impl[] EwFlag over DotSet, tagged 0x0009);
causal_type!(impl[] DwFlag over DotSet, tagged 0x000a);
