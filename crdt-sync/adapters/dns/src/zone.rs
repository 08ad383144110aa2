//! From a query to an answer, without a socket.
//!
//! Every grant has a name of its own below the leader's, `g7.leader.ZONE`, which is what the `SRV` record points to. So
//! one record says who leads, where, and by which grant, and caches that mix old and new records never join the port of
//! one leader with the address of another.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crdt_sync::failover::Leader;
use domain::base::iana::{Class, Opcode, OptRcode, Rcode, Rtype};
use domain::base::message_builder::{AdditionalBuilder, AnswerBuilder, PushError};
use domain::base::name::FromStrError;
use domain::base::{Message, MessageBuilder, Name, Serial, StaticCompressor, ToName, Ttl};
use domain::rdata::{A, Aaaa, Soa, Srv};

type Owned = Name<Vec<u8>>;
type Target = StaticCompressor<Vec<u8>>;

/// What is sent by UDP fits into the packets that every network carries; no answer of a zone is longer than 512 bytes.
const MOST_UDP: u16 = 1_232;
/// With that, answers stay below 512 bytes.
const MOST_NAME: usize = 100;

/// A zone cannot be named like that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// It is no name of the domain name system.
    #[error("no domain name: {0}")]
    NoName(String),
    /// It is longer than the 100 bytes for which answers stay short.
    #[error("a zone is named by at most 100 bytes")]
    TooLong,
}

impl From<FromStrError> for ZoneError {
    fn from(error: FromStrError) -> Self {
        Self::NoName(error.to_string())
    }
}

/// A zone with one name in it: `leader.ZONE`, where whoever leads is found.
#[derive(Clone, Debug)]
pub struct Zone {
    apex: Owned,
    leader: Owned,
    authority: Owned,
    ttl: Ttl,
}

impl Zone {
    /// The zone of this name, whose records may be cached for so long: whole seconds, and at most a week.
    pub fn new(apex: &str, ttl: Duration) -> Result<Self, ZoneError> {
        let apex = Name::vec_from_str(apex)?;
        if apex.len() > MOST_NAME {
            return Err(ZoneError::TooLong);
        }
        let below = |label: &str| Name::vec_from_str(&format!("{label}.{apex}."));
        let seconds = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX).min(7 * 24 * 3600);
        Ok(Self { leader: below("leader")?, authority: below("ns")?, ttl: Ttl::from_secs(seconds), apex })
    }

    /// Answers a query, as it came by UDP or (without its length) by TCP. `None` where it is best left unanswered: it
    /// is no message, or an answer itself.
    ///
    /// ```
    /// use std::time::Duration;
    /// use crdt_sync_dns::Zone;
    ///
    /// let zone = Zone::new("cluster.example", Duration::from_secs(30))?;
    /// assert_eq!(zone.respond(b"GET / HTTP/1.1", None).map(|answer| answer.len() < 512), Some(true));
    /// assert_eq!(zone.respond(b"?", None), None);
    /// # Ok::<_, crdt_sync_dns::ZoneError>(())
    /// ```
    pub fn respond(&self, query: &[u8], leader: Option<&Leader>) -> Option<Vec<u8>> {
        let query = Message::from_octets(query).ok().filter(|query| !query.header().qr())?;
        let response = self.answer(&query, leader).or_else(|_| plain(&query, Rcode::SERVFAIL));
        response.ok().map(|response| response.finish().into_target())
    }

    fn answer(
        &self,
        query: &Message<&[u8]>,
        leader: Option<&Leader>,
    ) -> Result<AdditionalBuilder<Target>, PushError> {
        if query.header().opcode() != Opcode::QUERY {
            return plain(query, Rcode::NOTIMP);
        }
        let Ok(question) = query.sole_question() else { return plain(query, Rcode::FORMERR) };
        if question.qclass() != Class::IN || !question.qname().ends_with(&self.apex) {
            return plain(query, Rcode::REFUSED);
        }
        if query.opt().is_some_and(|opt| opt.version() > 0) {
            return plain(query, Rcode::NOERROR);
        }
        let Ok(held) = leader.map(Held::of).transpose() else { return plain(query, Rcode::SERVFAIL) };
        let its_name = held.as_ref().and_then(|held| held.name(&self.leader));
        let (qname, qtype) = (question.qname(), question.qtype());
        let known = qname.name_eq(&self.leader) || its_name.as_ref().is_some_and(|name| qname.name_eq(name));
        let exists = known || qname.name_eq(&self.apex);
        let mut answer =
            builder().start_answer(query, if exists { Rcode::NOERROR } else { Rcode::NXDOMAIN })?;
        answer.header_mut().set_aa(true);
        if let (true, Some(held), Some(target)) = (known, &held, &its_name) {
            if matches!(qtype, Rtype::SRV | Rtype::ANY) && qname.name_eq(&self.leader) {
                answer.push((&self.leader, self.ttl, Srv::new(0, 0, held.address.port(), target)))?;
                let mut additional = answer.additional();
                self.push_address(target, held.address.ip(), &mut additional)?;
                return with_edns(query, additional);
            }
            if asks_for(qtype, held.address.ip()) {
                self.push_address(qname, held.address.ip(), &mut answer)?;
                return with_edns(query, answer.additional());
            }
        }
        if qtype == Rtype::SOA && qname.name_eq(&self.apex) {
            answer.push((&self.apex, self.ttl, self.soa()))?;
            return with_edns(query, answer.additional());
        }
        let mut authority = answer.authority();
        authority.push((&self.apex, self.ttl, self.soa()))?;
        with_edns(query, authority.additional())
    }

    fn push_address(
        &self,
        name: impl ToName,
        address: IpAddr,
        into: &mut impl Push,
    ) -> Result<(), PushError> {
        match address {
            IpAddr::V4(address) => into.push_one((name, Class::IN, self.ttl, A::new(address))),
            IpAddr::V6(address) => into.push_one((name, Class::IN, self.ttl, Aaaa::new(address))),
        }
    }

    /// That there is nothing may be cached as long as what there is. Zones are not transferred: the serial is idle.
    fn soa(&self) -> Soa<&Owned> {
        let hour = Ttl::HOUR;
        Soa::new(&self.authority, &self.authority, Serial::from(1), hour, hour, hour, self.ttl)
    }
}

/// Who leads, with an address that a record can hold.
struct Held {
    grant: u64,
    address: SocketAddr,
}

impl Held {
    fn of(leader: &Leader) -> Result<Self, std::net::AddrParseError> {
        Ok(Self { grant: leader.grant.number(), address: leader.address.parse()? })
    }

    fn name(&self, leader: &Owned) -> Option<Owned> {
        Name::vec_from_str(&format!("g{}.{leader}.", self.grant)).ok()
    }
}

trait Push {
    fn push_one(&mut self, record: impl domain::base::record::ComposeRecord) -> Result<(), PushError>;
}

impl Push for AnswerBuilder<Target> {
    fn push_one(&mut self, record: impl domain::base::record::ComposeRecord) -> Result<(), PushError> {
        self.push(record)
    }
}

impl Push for AdditionalBuilder<Target> {
    fn push_one(&mut self, record: impl domain::base::record::ComposeRecord) -> Result<(), PushError> {
        self.push(record)
    }
}

fn builder() -> MessageBuilder<Target> {
    MessageBuilder::from_target(StaticCompressor::new(Vec::new())).expect("a vector takes twelve bytes")
}

fn plain(query: &Message<&[u8]>, rcode: Rcode) -> Result<AdditionalBuilder<Target>, PushError> {
    with_edns(query, builder().start_error(query, rcode).additional())
}

/// Whoever speaks of extensions is told that they are understood, in the one version there is.
fn with_edns(
    query: &Message<&[u8]>,
    mut response: AdditionalBuilder<Target>,
) -> Result<AdditionalBuilder<Target>, PushError> {
    if let Some(opt) = query.opt() {
        response.opt(|ours| {
            ours.set_udp_payload_size(MOST_UDP);
            if opt.version() > 0 {
                ours.set_rcode(OptRcode::BADVERS);
            }
            Ok(())
        })?;
    }
    Ok(response)
}

fn asks_for(qtype: Rtype, address: IpAddr) -> bool {
    let fitting = if address.is_ipv4() { Rtype::A } else { Rtype::AAAA };
    qtype == fitting || qtype == Rtype::ANY
}
