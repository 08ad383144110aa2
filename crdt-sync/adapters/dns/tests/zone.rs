//! What the zone answers to whom.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use crdt_sync::failover::{Grant, Leader};
use crdt_sync_dns::{Zone, ZoneError};
use domain::base::iana::{Class, Opcode, OptRcode, Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name};
use proptest::prelude::*;

type Owned = Name<Vec<u8>>;

fn zone() -> Zone {
    Zone::new("cluster.example", Duration::from_secs(30)).unwrap()
}

fn leader(grant: u64, address: &str) -> Option<Leader> {
    Grant::new(grant).map(|grant| Leader { grant, address: address.into() })
}

fn query(name: &str, rtype: Rtype) -> Vec<u8> {
    let mut question = MessageBuilder::new_vec().question();
    question.header_mut().set_id(4711);
    question.push((Owned::vec_from_str(name).unwrap(), rtype)).unwrap();
    question.finish()
}

/// The answer in words: its code, then every record as in a zone file.
fn answered(query: &[u8], leader: Option<&Leader>) -> Vec<String> {
    let answer = Message::from_octets(zone().respond(query, leader).unwrap()).unwrap();
    assert!(answer.header().qr() && answer.as_slice().len() <= 512);
    let mut said = vec![answer.header().rcode().to_string()];
    for (record, _) in answer.iter().flatten() {
        if record.rtype() != Rtype::OPT {
            let record = record.into_any_record::<domain::rdata::AllRecordData<_, _>>().unwrap();
            said.push(format!("{} {} {}", record.owner(), record.ttl().as_secs(), record.data()));
        }
    }
    said
}

fn ask(name: &str, rtype: Rtype, leader: Option<&Leader>) -> Vec<String> {
    answered(&query(name, rtype), leader)
}

#[test]
fn one_answer_names_the_leader_its_port_its_grant_and_its_address() {
    let leader = leader(7, "10.0.0.7:7400");
    let said = ask("leader.cluster.example", Rtype::SRV, leader.as_ref());
    let address = "g7.leader.cluster.example 30 10.0.0.7";
    assert_eq!(said, ["NOERROR", "leader.cluster.example 30 0 0 7400 g7.leader.cluster.example", address]);
    assert_eq!(ask("g7.leader.cluster.example", Rtype::A, leader.as_ref()), ["NOERROR", address]);
    let said = ask("LeAdEr.Cluster.example", Rtype::A, leader.as_ref());
    assert_eq!(said, ["NOERROR", "LeAdEr.Cluster.example 30 10.0.0.7"], "in the letters of whoever asks");
}

#[test]
fn an_address_is_given_to_whoever_asks_for_its_kind() {
    let leader = leader(7, "[fd00::7]:7400");
    let said = ask("leader.cluster.example", Rtype::AAAA, leader.as_ref());
    assert_eq!(said, ["NOERROR", "leader.cluster.example 30 fd00::7"]);
    let said = ask("leader.cluster.example", Rtype::A, leader.as_ref());
    assert!(
        said[0] == "NOERROR" && said[1].starts_with("cluster.example 30 ns.cluster.example."),
        "{said:?}"
    );
}

#[test]
fn where_nobody_leads_the_name_is_there_and_has_no_record() {
    let said = ask("leader.cluster.example", Rtype::SRV, None);
    let soa = "cluster.example 30 ns.cluster.example. ns.cluster.example. 1 3600 3600 3600 30";
    assert_eq!(said, ["NOERROR", soa]);
    assert_eq!(ask("g7.leader.cluster.example", Rtype::A, None), ["NXDOMAIN", soa]);
    let seventh = leader(7, "10.0.0.7:1");
    assert_eq!(ask("g6.leader.cluster.example", Rtype::A, seventh.as_ref()), ["NXDOMAIN", soa]);
    assert_eq!(ask("cluster.example", Rtype::SOA, None), ["NOERROR", soa]);
}

#[test]
fn what_is_not_its_business_is_refused() {
    assert_eq!(ask("leader.other.example", Rtype::A, None), ["REFUSED"]);
    let mut notify = query("cluster.example", Rtype::SOA);
    notify[2] |= Opcode::NOTIFY.to_int() << 3;
    assert_eq!(answered(&notify, None), ["NOTIMP"]);
    let mut none = query("cluster.example", Rtype::SOA);
    none[5] = 0;
    assert_eq!(answered(&none, None), ["FORMERR"]);
    let mut chaos = MessageBuilder::new_vec().question();
    chaos.push((Owned::vec_from_str("leader.cluster.example").unwrap(), Rtype::TXT, Class::CH)).unwrap();
    assert_eq!(answered(&chaos.finish(), None), ["REFUSED"]);
    let unusable = leader(7, "db-7.internal:7400");
    assert_eq!(ask("leader.cluster.example", Rtype::A, unusable.as_ref()), ["SERVFAIL"]);

    let mut answer = query("cluster.example", Rtype::SOA);
    answer[2] |= 0x80;
    assert_eq!(zone().respond(&answer, None), None, "or two servers would talk for ever");
}

#[test]
fn a_later_version_of_the_extensions_is_not_understood() {
    let mut question = MessageBuilder::new_vec().question();
    question.push((Owned::vec_from_str("leader.cluster.example").unwrap(), Rtype::A)).unwrap();
    let mut additional = question.additional();
    additional
        .opt(|opt| {
            opt.set_version(1);
            Ok(())
        })
        .unwrap();
    let answer = zone().respond(&additional.finish(), None).unwrap();
    let answer = Message::from_octets(answer).unwrap();
    assert_eq!((answer.opt_rcode(), answer.header().rcode()), (OptRcode::BADVERS, Rcode::NOERROR));
}

#[test]
fn a_zone_has_a_name_that_leaves_room_for_answers() {
    assert!(matches!(Zone::new("a..b", Duration::ZERO), Err(ZoneError::NoName(_))));
    let long = ["abcdefghi"; 10].join(".");
    assert!(matches!(Zone::new(&long, Duration::ZERO), Err(ZoneError::TooLong)));
    let zone = Zone::new(&long[..96], Duration::from_secs(1)).unwrap();
    let name = format!("leader.{}", &long[..96]);
    let answer = zone.respond(&query(&name, Rtype::SRV), leader(u64::from(u32::MAX), "[::1]:1").as_ref());
    assert!(answer.unwrap().len() <= 512);
}

proptest! {
    #[test]
    fn no_packet_is_too_odd_for_the_zone(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        flip in any::<(u8, u8)>(),
    ) {
        let leader = leader(7, "10.0.0.7:7400");
        zone().respond(&bytes, leader.as_ref());
        let mut nearly = query("leader.cluster.example", Rtype::SRV);
        let place = usize::from(flip.0) % nearly.len();
        nearly[place] ^= flip.1;
        if let Some(answer) = zone().respond(&nearly, leader.as_ref()) {
            prop_assert!(answer.len() <= 512);
        }
    }
}
