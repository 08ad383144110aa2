//! Resolving the leader's record, and keeping it for as long as it says.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crdt_sync::failover::{Directory, Grant, Leader, Unreachable};
use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name, ParsedName, ToName, Ttl};
use domain::rdata::{A, Aaaa, Soa, Srv};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::Instant;
use uuid::Uuid;

use crate::zone::ZoneError;

const DEADLINE: Duration = Duration::from_secs(2);
const TRIES: u32 = 3;
/// How long what a resolver does not date is kept, and the shortest time between two questions while waiting.
const SHORTEST: Duration = Duration::from_secs(1);

/// A [`Directory`] that asks a name server, or a resolver with a cache, and believes the answer for its TTL, as
/// everything does that resolves names. So it may be late by twice the TTL at most: the resolver's and its own.
#[derive(Clone, Debug)]
pub struct DnsDirectory {
    server: SocketAddr,
    name: Name<Vec<u8>>,
    deadline: Duration,
    cached: Option<(Option<Leader>, Instant)>,
}

impl DnsDirectory {
    /// Asks this server for `leader.ZONE`.
    pub fn new(server: SocketAddr, zone: &str) -> Result<Self, ZoneError> {
        let apex: Name<Vec<u8>> = Name::vec_from_str(zone)?;
        let name = Name::vec_from_str(&format!("leader.{apex}."))?;
        Ok(Self { server, name, deadline: DEADLINE, cached: None })
    }

    /// How long the server may take to answer each of three tries: two seconds unless said otherwise.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Forgets what it was told: the server is asked again next time. A resolver on the way may still remember.
    pub fn forget(&mut self) {
        self.cached = None;
    }

    async fn resolve(&self) -> Result<(Option<Leader>, Ttl), String> {
        let answer = self.ask(&self.name, Rtype::SRV).await?;
        let Some(found) = service(&answer, &self.name)? else { return Ok((None, negative_ttl(&answer))) };
        if let Some((address, ttl)) = address(&answer, &found.target)? {
            return Ok((Some(found.at(address)), ttl.min(found.ttl)));
        }
        for rtype in [Rtype::A, Rtype::AAAA] {
            let answer = self.ask(&found.target, rtype).await?;
            if let Some((address, ttl)) = address(&answer, &found.target)? {
                return Ok((Some(found.at(address)), ttl.min(found.ttl)));
            }
        }
        // It was replaced between the questions.
        Ok((None, Ttl::ZERO))
    }

    async fn ask(&self, name: &Name<Vec<u8>>, rtype: Rtype) -> Result<Message<Vec<u8>>, String> {
        let mut question = MessageBuilder::new_vec().question();
        question.header_mut().set_id(Uuid::new_v4().as_fields().1);
        question.header_mut().set_rd(true);
        question.push((name, rtype)).map_err(|error| error.to_string())?;
        let query = question.into_message();
        let mut outcome = Err("no answer in time".to_owned());
        for _ in 0..TRIES {
            match tokio::time::timeout(self.deadline, self.exchange(&query)).await {
                Ok(Ok(answer)) => return usable(answer),
                Ok(Err(error)) => outcome = Err(error.to_string()),
                Err(_) => {}
            }
        }
        outcome
    }

    /// By UDP, from a port that nobody can guess; by TCP if the answer did not fit.
    async fn exchange(&self, query: &Message<Vec<u8>>) -> std::io::Result<Message<Vec<u8>>> {
        let any: SocketAddr = match self.server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(self.server).await?;
        socket.send(query.as_slice()).await?;
        let mut packet = vec![0; 4_096];
        loop {
            let length = socket.recv(&mut packet).await?;
            let Ok(answer) = Message::from_octets(packet[..length].to_vec()) else { continue };
            if !answer.is_answer(query) {
                continue;
            }
            return if answer.header().tc() { self.exchange_by_tcp(query).await } else { Ok(answer) };
        }
    }

    async fn exchange_by_tcp(&self, query: &Message<Vec<u8>>) -> std::io::Result<Message<Vec<u8>>> {
        let mut stream = TcpStream::connect(self.server).await?;
        let length = u16::try_from(query.as_slice().len()).map_err(std::io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), query.as_slice()].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        let answer = Message::from_octets(answer).map_err(std::io::Error::other)?;
        if answer.is_answer(query) { Ok(answer) } else { Err(std::io::Error::other("another answer")) }
    }
}

impl Directory for DnsDirectory {
    async fn current(&mut self) -> Result<Option<Leader>, Unreachable> {
        if let Some((leader, until)) = &self.cached
            && Instant::now() < *until
        {
            return Ok(leader.clone());
        }
        let asked = Instant::now();
        let (leader, ttl) = self.resolve().await.map_err(|why| Unreachable { why })?;
        self.cached = Some((leader.clone(), asked + ttl.into_duration()));
        Ok(leader)
    }

    async fn changed(&mut self, known: Option<&Leader>) -> Option<Leader> {
        loop {
            match self.current().await {
                Ok(leader) if leader.as_ref() != known => return leader,
                _ => {}
            }
            let until = self.cached.as_ref().map_or_else(Instant::now, |(_, until)| *until);
            tokio::time::sleep_until(until.max(Instant::now() + SHORTEST)).await;
        }
    }
}

/// What an `SRV` record says.
struct Service {
    target: Name<Vec<u8>>,
    grant: Grant,
    port: u16,
    ttl: Ttl,
}

impl Service {
    fn at(&self, address: std::net::IpAddr) -> Leader {
        Leader { grant: self.grant, address: SocketAddr::new(address, self.port).to_string() }
    }
}

/// An answer that says something: also that there is no such name.
fn usable(answer: Message<Vec<u8>>) -> Result<Message<Vec<u8>>, String> {
    match answer.header().rcode() {
        Rcode::NOERROR | Rcode::NXDOMAIN => Ok(answer),
        rcode => Err(format!("the server answers {rcode}")),
    }
}

fn service(answer: &Message<Vec<u8>>, name: &Name<Vec<u8>>) -> Result<Option<Service>, String> {
    let section = answer.answer().map_err(|error| error.to_string())?;
    for record in section.limit_to_in::<Srv<ParsedName<&[u8]>>>().flatten() {
        if record.owner().name_eq(name) {
            let target: Name<Vec<u8>> = record.data().target().to_name();
            let grant = grant_in(&target, name).ok_or("the record does not say by which grant")?;
            return Ok(Some(Service { target, grant, port: record.data().port(), ttl: record.ttl() }));
        }
    }
    Ok(None)
}

/// The grant whose name below the leader's this is.
fn grant_in(target: &Name<Vec<u8>>, leader: &Name<Vec<u8>>) -> Option<Grant> {
    let label = target.first();
    let number = label.as_slice().strip_prefix(b"g")?;
    let below = target.parent().is_some_and(|parent| parent.name_eq(leader));
    str::from_utf8(number).ok().filter(|_| below)?.parse().ok().and_then(Grant::new)
}

/// The address of a name, among the answers or what was added to them.
fn address(
    answer: &Message<Vec<u8>>,
    name: &Name<Vec<u8>>,
) -> Result<Option<(std::net::IpAddr, Ttl)>, String> {
    let sections = [answer.answer(), answer.additional()];
    for section in sections {
        let section = section.map_err(|error| error.to_string())?;
        let v4 = section.limit_to_in::<A>().flatten().find(|record| record.owner().name_eq(name));
        let v4 = v4.map(|record| (record.data().addr().into(), record.ttl()));
        let v6 = section.limit_to_in::<Aaaa>().flatten().find(|record| record.owner().name_eq(name));
        let v6 = v6.map(|record| (record.data().addr().into(), record.ttl()));
        if let Some(found) = v4.or(v6) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// How long it may be believed that there is nothing.
fn negative_ttl(answer: &Message<Vec<u8>>) -> Ttl {
    let soa = answer.authority().ok().and_then(|section| {
        let mut records = section.limit_to_in::<Soa<ParsedName<&[u8]>>>().flatten();
        records.next().map(|record| record.ttl().min(record.data().minimum()))
    });
    soa.unwrap_or(Ttl::ZERO)
}
