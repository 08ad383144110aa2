//! What hosts, members and coordinators may say to a supervisor, also when it makes no sense.

use std::time::Duration;

use crdt_sync::failover::stonith::{NotFenced, Stonith};
use crdt_sync::failover::supervisor::{
    Act, AskId, Command, Event, Failover, NotPromoted, OwnStanding, Refused, Round, Standing, WhyStepDown,
};
use crdt_sync::failover::{
    Answer, Ask, ConfigError, Detection, FailoverConfig, Grant, GrantedBy, LeaseTerms, Supervisor, Tenure,
};
use crdt_sync::time::Instant;
use proptest::prelude::*;
use replication_log::Epoch;

use crate::host::position;
use crate::world::*;

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn grant(number: u64) -> Grant {
    Grant::new(number).unwrap()
}

fn standing(promised: Epoch, leads: Option<Epoch>) -> Standing {
    Standing {
        end: position(1, 10),
        promised,
        leads,
        follows: None,
        hands_over: None,
        promotable: true,
        priority: 0,
        failover: None,
        acknowledged: None,
    }
}

fn acts(supervisor: &mut Supervisor) -> Vec<Act> {
    std::iter::from_fn(|| supervisor.poll()).collect()
}

/// Node A of three has asked the coordinator for the lead, with this question.
fn asking() -> (Supervisor, AskId) {
    let granted_by = GrantedBy::Coordinator { failsafe: false };
    let mut supervisor = Supervisor::new(FailoverConfig { granted_by, ..settings(3) }, id(A), at(0)).unwrap();
    let end = position(1, 10);
    supervisor.stands(OwnStanding { end, promised: Epoch::ZERO, promotable: true, priority: 1 }, at(0));
    for second in [4, 8, 12] {
        supervisor.heard(id(B), standing(Epoch::ZERO, None), at(second));
        supervisor.tick(at(second));
    }
    supervisor.tick(at(15));
    let asked = acts(&mut supervisor).into_iter().find_map(|act| match act {
        Act::Ask(id, Ask::Acquire { .. }) => Some(id),
        _ => None,
    });
    (supervisor, asked.unwrap())
}

fn released(acts: &[Act], number: u64) -> bool {
    let tenure = Tenure { holder: id(A), grant: grant(number) };
    acts.iter().any(|act| matches!(act, Act::Ask(_, Ask::Release { tenure: told, .. }) if *told == tenure))
}

#[test]
fn a_grant_that_nobody_waits_for_any_more_is_given_back() {
    let (mut supervisor, asked) = asking();
    supervisor.tick(at(20));
    supervisor.answer(asked, Answer::Granted(grant(1)), at(21));
    let acts = acts(&mut supervisor);
    assert!(released(&acts, 1), "{acts:?}");
    assert!(!acts.iter().any(|act| matches!(act, Act::Lead { .. })));
}

/// A release that is still on its way would end what was adopted: so what this process has not been granted it gives
/// back, and asks for another one.
#[test]
fn a_grant_whose_answer_was_lost_is_given_back_and_not_led_under() {
    let (mut supervisor, asked) = asking();
    let mine = Tenure { holder: id(A), grant: grant(7) };
    supervisor.answer(asked, Answer::Held(Some(mine)), at(16));
    let told = acts(&mut supervisor);
    assert!(released(&told, 7), "{told:?}");
    assert!(!told.iter().any(|act| matches!(act, Act::Lead { .. } | Act::Ask(_, Ask::Renew { .. }))));
    supervisor.heard(id(B), standing(Epoch::ZERO, None), at(20));
    supervisor.tick(at(24));
    let above = acts(&mut supervisor).into_iter().find_map(|act| match act {
        Act::Ask(_, Ask::Acquire { above, .. }) => Some(above),
        _ => None,
    });
    assert_eq!(above, Some(Some(grant(7))), "another one");
}

#[test]
fn a_promotion_that_ends_when_nobody_waits_for_it_is_undone() {
    let (mut supervisor, asked) = asking();
    supervisor.answer(asked, Answer::Granted(grant(1)), at(16));
    assert!(acts(&mut supervisor).iter().any(|act| matches!(act, Act::Lead { .. })));
    supervisor.promoted(Err(NotPromoted::NoQuorum), at(17));
    assert!(released(&acts(&mut supervisor), 1));
    supervisor.promoted(Ok(grant(1).epoch()), at(18));
    assert!(acts(&mut supervisor).contains(&Act::StepDown { why: WhyStepDown::TooLate }));
    assert_eq!((supervisor.leads(), supervisor.lease_until()), (None, None));
}

/// Where all ask, those that cannot lead would keep the one that can from being promised anything.
#[test]
fn whoever_was_told_that_a_node_is_ahead_asks_no_more_while_that_node_is_there() {
    let (mut supervisor, asked) = asking();
    supervisor.answer(asked, Answer::Granted(grant(1)), at(16));
    let behind = NotPromoted::Behind { node: id(B), end: position(1, 11) };
    supervisor.promoted(Err(behind), at(17));
    acts(&mut supervisor);
    let asks = |act: &Act| matches!(act, Act::Ask(_, Ask::Acquire { .. }));
    let ahead = Standing { end: position(1, 11), ..standing(Epoch::ZERO, None) };
    let mut told = Vec::new();
    for second in (18..90).step_by(4) {
        supervisor.heard(id(B), ahead, at(second));
        supervisor.heard(id(C), standing(Epoch::ZERO, None), at(second));
        told.extend(acts(&mut supervisor));
    }
    assert!(!told.iter().any(asks), "{told:?}");
    let refused = Event::Refused(Refused::Behind { node: id(B) });
    assert_eq!(told.iter().filter(|act| **act == Act::Event(refused)).count(), 1);
    // When it is gone, or turns out to have no more, others may lead.
    let mut gone = Vec::new();
    for second in (90..150).step_by(4) {
        supervisor.heard(id(C), standing(Epoch::ZERO, None), at(second));
        gone.extend(acts(&mut supervisor));
    }
    assert!(gone.iter().any(asks), "{gone:?}");
}

#[test]
fn a_member_that_promised_the_last_grant_of_all_stops_elections_with_an_event() {
    let mut supervisor = Supervisor::new(settings(3), id(A), at(0)).unwrap();
    let own = OwnStanding { end: position(1, 10), promised: Epoch::ZERO, promotable: true, priority: 1 };
    supervisor.stands(own, at(0));
    for second in (4..40).step_by(4) {
        supervisor.heard(id(B), standing(Epoch::new(u64::MAX), None), at(second));
    }
    let newest = Grant::of(Epoch::new(u64::MAX));
    assert!(acts(&mut supervisor).contains(&Act::Event(Event::NotPromoted(NotPromoted::Fenced { newest }))));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let check = |config: FailoverConfig| config.check(id(A)).unwrap_err();
    assert_eq!(settings(3).check(id(3)), Err(ConfigError::NoMember));
    let lease = LeaseTerms::of(secs(10));
    assert!(matches!(check(FailoverConfig { lease, ..settings(3) }), ConfigError::LeaseTooShort { .. }));
    let detection = Detection::Fixed { timeout: secs(10) };
    assert!(matches!(
        check(FailoverConfig { detection, ..settings(3) }),
        ConfigError::PatienceTooShort { .. }
    ));
    assert_eq!(check(FailoverConfig { turn: Duration::ZERO, ..settings(3) }), ConfigError::NoTime);
    let members = vec![id(A), id(B), id(A)];
    assert_eq!(check(FailoverConfig { members, ..settings(3) }), ConfigError::NamedTwice);
    assert_eq!(check(settings(256)), ConfigError::TooManyMembers);
}

/// Numbers that an input is made of.
type Said = (u8, u64, u64, u8);

fn say(supervisor: &mut Supervisor, (kind, number, more, who): Said, asked: Option<AskId>, now: Instant) {
    let epoch = Epoch::new(((number % 5) << 32) + more % 3);
    let granted = Grant::of(epoch);
    let node = id(usize::from(who % 4));
    let tenure = Tenure { holder: node, grant: granted };
    match kind % 12 {
        0..3 => {
            let leads = (more % 4 == 0).then_some(epoch);
            let hands_over = (more % 7 == 0).then_some(id(A));
            let failover = (more % 5 == 0).then_some(Failover { grant: granted, ago: secs(more) });
            supervisor.heard(node, Standing { hands_over, failover, ..standing(epoch, leads) }, now);
        }
        3 => {
            let own = OwnStanding { end: position(1, more), promised: epoch, promotable: true, priority: 0 };
            supervisor.stands(own, now);
        }
        4 | 5 => {
            let answer = match more % 5 {
                0 | 1 => Answer::Granted(granted),
                2 => Answer::Renewed(granted),
                3 => Answer::Held((number % 2 == 0).then_some(tenure)),
                _ => Answer::Unavailable { why: String::new() },
            };
            match asked {
                Some(asked) => supervisor.answer(asked, answer, now),
                None => supervisor.tick(now),
            }
        }
        6 => supervisor.fenced(if more % 2 == 0 { Ok(()) } else { Err(NotFenced::Failed) }, now),
        7 => supervisor.promoted(Ok(epoch), now),
        8 => supervisor.promoted(Err(NotPromoted::Behind { node, end: position(2, more) }), now),
        9 => supervisor.renewed(Round(number), node, now),
        10 => {
            let command = match more % 4 {
                0 | 1 => Command::SwitchOver { to: node, deadline: now + secs(number) },
                2 => Command::AcknowledgeFailover,
                _ => Command::Resume,
            };
            supervisor.operate(command, now);
            supervisor.handed_over(now);
        }
        _ => supervisor.tick(now),
    }
}

proptest! {
    /// Whatever is said, in whatever order: who leads has a lease, and whoever is told to lead has one when it begins.
    #[test]
    fn nobody_leads_without_a_lease_whatever_is_said(
        said in prop::collection::vec((any::<u8>(), 0_u64..12, 0_u64..40, any::<u8>()), 1..200),
        waits in prop::collection::vec(0_u64..6_000_000, 200),
        granted_by in prop_oneof![
            Just(GrantedBy::Promises),
            Just(GrantedBy::Coordinator { failsafe: true }),
        ],
        required in any::<bool>(),
    ) {
        let stonith = required.then_some(Stonith::Required { timeout: secs(10) });
        let config = FailoverConfig { granted_by, stonith, ..settings(3) };
        let margin = config.lease.margin;
        let mut now = at(0);
        let mut supervisor = Supervisor::new(config, id(A), now).unwrap();
        let mut asked = None;
        for (said, wait) in said.into_iter().zip(waits) {
            now = now + Duration::from_micros(wait);
            say(&mut supervisor, said, asked, now);
            for act in acts(&mut supervisor) {
                match act {
                    Act::Ask(id, _) => asked = Some(id),
                    Act::Lead { lease_until, .. } => {
                        prop_assert!(lease_until > now + margin);
                        // A host that is quick.
                        supervisor.promoted(Ok(Grant::of(Epoch::new(1 << 32)).epoch()), now);
                    }
                    Act::ExtendLease { until } => prop_assert!(until > now),
                    _ => {}
                }
            }
            prop_assert!(supervisor.next_deadline() > now);
            if supervisor.leads().is_some() {
                let until = supervisor.lease_until();
                prop_assert!(until.is_some_and(|until| until > now + margin), "{until:?} at {now:?}");
            }
        }
    }
}
