//! The gate: who may connect, from where, how often, and who is locked out.
//!
//! It decides from counts and the time it is told, so that its rules can be tested without sockets.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Refusal;
use super::bucket::Bucket;
use crate::limits::NetworkLimits;

/// What is known of accepted connections and of the addresses they come from.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: NetworkLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    addresses: BTreeMap<IpAddr, Address>,
    /// Connections on which nobody has greeted, oldest first, and the way to end them.
    half_open: BTreeMap<u64, oneshot::Sender<()>>,
    next: u64,
}

/// What is known of an address.
#[derive(Debug)]
struct Address {
    open: usize,
    connects: Bucket,
    strikes: u32,
    locked_until: Option<Instant>,
    struck: Instant,
    seen: Instant,
    /// Connections were turned away since one was let in: one event for all of them is enough.
    turned_away: bool,
}

/// The place of one accepted connection; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
    number: u64,
    displaced: Option<oneshot::Receiver<()>>,
}

/// A connection that is turned away.
#[derive(Debug, PartialEq)]
pub(crate) struct TurnedAway {
    pub(crate) reason: Refusal,
    /// Whether it is the first since one was let in from there.
    pub(crate) is_news: bool,
}

/// How many connections there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) all: usize,
    pub(crate) half: usize,
}

impl Gate {
    pub(crate) fn new(limits: NetworkLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default() })
    }

    /// Lets a connection in or turns it away. O(log addresses), unless an address must be forgotten.
    pub(crate) fn admit(self: &Arc<Self>, from: IpAddr, now: Instant) -> Result<Place, TurnedAway> {
        let address = source(from);
        let mut state = self.state();
        let is_full = state.open >= self.limits.max_connections;
        let known = state.address(address, &self.limits, now);
        let objection = if known.locked_until.is_some_and(|until| now < until) {
            Some(Refusal::LockedOut)
        } else if !known.connects.try_take(now) {
            Some(Refusal::TooOften)
        } else if known.open >= self.limits.max_connections_per_address {
            Some(Refusal::AddressFull)
        } else {
            is_full.then_some(Refusal::Full)
        };
        if let Some(reason) = objection {
            let is_news = !std::mem::replace(&mut known.turned_away, true);
            return Err(TurnedAway { reason, is_news });
        }
        known.turned_away = false;
        known.open += 1;
        state.open += 1;
        if state.half_open.len() >= self.limits.max_half_open.max(1)
            && let Some((_, oldest)) = state.half_open.pop_first()
        {
            let _ = oldest.send(());
        }
        let (displace, displaced) = oneshot::channel();
        let number = state.next;
        state.next += 1;
        state.half_open.insert(number, displace);
        Ok(Place { gate: Arc::clone(self), address, number, displaced: Some(displaced) })
    }

    /// A connection from there failed. Returns how long the address is locked out, if it is from now on.
    pub(crate) fn strike(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let mut state = self.state();
        let known = state.address(source(from), &self.limits, now);
        known.strikes = known.strikes.saturating_add(1);
        known.struck = now;
        let beyond = known.strikes.checked_sub(self.limits.free_strikes)?.checked_sub(1)?;
        let lasts = self.limits.first_lockout.saturating_mul(1 << beyond.min(30));
        let lasts = lasts.min(self.limits.longest_lockout);
        known.locked_until = now.checked_add(lasts);
        Some(lasts)
    }

    pub(crate) fn open(&self) -> Open {
        let state = self.state();
        Open { all: state.open, half: state.half_open.len() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is known of an address, after strikes that are long ago were forgotten.
    fn address(&mut self, address: IpAddr, limits: &NetworkLimits, now: Instant) -> &mut Address {
        if !self.addresses.contains_key(&address) && self.addresses.len() >= limits.max_addresses.max(1) {
            self.forget_one(now);
        }
        let known = self.addresses.entry(address).or_insert_with(|| Address {
            open: 0,
            connects: Bucket::full(limits.connects, now),
            strikes: 0,
            locked_until: None,
            struck: now,
            seen: now,
            turned_away: false,
        });
        if now.saturating_duration_since(known.struck) > limits.longest_lockout.saturating_mul(2) {
            known.strikes = 0;
        }
        known.seen = now;
        known
    }

    /// The address that was seen least recently and has no connections; those with a connection are few enough.
    fn forget_one(&mut self, now: Instant) {
        let is_locked = |known: &Address| known.locked_until.is_some_and(|until| now < until);
        let idle = self.addresses.iter().filter(|(_, known)| known.open == 0);
        if let Some(address) = idle.min_by_key(|(_, known)| (is_locked(known), known.seen)).map(|(a, _)| *a) {
            self.addresses.remove(&address);
        }
    }
}

impl Place {
    /// The peer greeted: nobody takes this place any more.
    pub(crate) fn greeted(&self) {
        self.gate.state().half_open.remove(&self.number);
    }

    /// Waits until the place is given to another connection, which may be never.
    pub(crate) fn displaced(&mut self) -> impl Future<Output = ()> + use<> {
        let displaced = self.displaced.take();
        async {
            let is_displaced = match displaced {
                Some(displaced) => displaced.await.is_ok(),
                None => false,
            };
            if !is_displaced {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.open -= 1;
        state.half_open.remove(&self.number);
        if let Some(known) = state.addresses.get_mut(&self.address) {
            known.open -= 1;
        }
    }
}

/// Whoever has an IPv6 address has at least all 2^64 that share its first half.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(change: impl FnOnce(&mut NetworkLimits)) -> Arc<Gate> {
        let mut limits = NetworkLimits::default();
        change(&mut limits);
        Gate::new(limits)
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn reason(admitted: Result<Place, TurnedAway>) -> Option<Refusal> {
        admitted.err().map(|away| away.reason)
    }

    #[test]
    fn one_address_cannot_take_all_places_and_what_it_gives_back_is_free_again() {
        let now = Instant::now();
        let gate = gate(|limits| (limits.max_connections, limits.max_connections_per_address) = (3, 2));
        let places: Vec<_> = (0..2).map(|_| gate.admit(address(1), now).unwrap()).collect();
        assert_eq!(reason(gate.admit(address(1), now)), Some(Refusal::AddressFull));
        let other = gate.admit(address(2), now).unwrap();
        assert_eq!(reason(gate.admit(address(3), now)), Some(Refusal::Full));
        drop(places);
        assert!(gate.admit(address(1), now).is_ok());
        drop(other);
        assert_eq!(gate.open(), Open::default());
    }

    #[test]
    fn addresses_that_share_the_first_half_of_ipv6_count_as_one() {
        let now = Instant::now();
        let gate = gate(|limits| limits.max_connections_per_address = 1);
        let _place = gate.admit("2001:db8::1".parse().unwrap(), now).unwrap();
        let neighbour = gate.admit("2001:db8::ffff:2".parse().unwrap(), now);
        assert_eq!(reason(neighbour), Some(Refusal::AddressFull));
        assert!(gate.admit("2001:db8:0:1::1".parse().unwrap(), now).is_ok());
    }

    #[test]
    fn who_waits_longest_without_a_greeting_gives_up_its_place() {
        let now = Instant::now();
        let gate = gate(|limits| limits.max_half_open = 2);
        let mut places: Vec<_> = (0..3).map(|n| gate.admit(address(n), now).unwrap()).collect();
        for place in &mut places {
            let displaced = place.displaced.as_mut().unwrap().try_recv().is_ok();
            assert_eq!(displaced, place.number == 0);
        }
        places[1].greeted();
        assert_eq!(gate.open(), Open { all: 3, half: 1 });
    }

    #[test]
    fn lock_outs_grow_to_a_bound_and_are_forgiven_in_the_end() {
        let now = Instant::now();
        let seconds = Duration::from_secs;
        let gate = gate(|limits| {
            limits.free_strikes = 2;
            limits.longest_lockout = seconds(3);
        });
        let strikes: Vec<_> = (0..5).map(|_| gate.strike(address(1), now)).collect();
        assert_eq!(strikes, [None, None, Some(seconds(1)), Some(seconds(2)), Some(seconds(3))]);
        assert_eq!(reason(gate.admit(address(1), now)), Some(Refusal::LockedOut));
        assert!(gate.admit(address(2), now).is_ok());
        assert!(gate.admit(address(1), now + seconds(3)).is_ok());
        assert_eq!(gate.strike(address(1), now + seconds(60)), None);
    }

    #[test]
    fn who_connects_too_often_is_turned_away_and_told_of_once() {
        let now = Instant::now();
        let gate = gate(|limits| limits.connects.burst = 1);
        assert!(gate.admit(address(1), now).is_ok());
        let turned_away = |is_news| Some(TurnedAway { reason: Refusal::TooOften, is_news });
        assert_eq!(gate.admit(address(1), now).err(), turned_away(true));
        assert_eq!(gate.admit(address(1), now).err(), turned_away(false));
        assert!(gate.admit(address(1), now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn no_more_addresses_are_remembered_than_may_be_and_locked_ones_longest() {
        let now = Instant::now();
        let gate = gate(|limits| (limits.max_addresses, limits.free_strikes) = (2, 0));
        gate.strike(address(1), now);
        for n in 2..=9 {
            drop(gate.admit(address(n), now).unwrap());
        }
        assert_eq!(gate.state().addresses.len(), 2);
        assert_eq!(reason(gate.admit(address(1), now)), Some(Refusal::LockedOut));
    }
}
