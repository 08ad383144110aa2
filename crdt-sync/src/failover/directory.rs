//! Where clients find whoever leads, and how they never go back to who led before.

use alloc::string::String;
use core::future::Future;

use super::Grant;

/// Who leads, as clients need to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// By which grant.
    pub grant: Grant,
    /// Where it is, in words that whoever follows it understands: `10.0.0.7:7400`.
    pub address: String,
}

/// A directory could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory of leaders cannot be reached: {why}")]
pub struct Unreachable {
    /// What it, or the way to it, says.
    pub why: String,
}

/// Tells clients who leads. It may be late, as a record in a cache is, and two of them may say different things:
/// [`Follow`] is what makes of it a client that sees one leader.
pub trait Directory: Send {
    /// Who leads as far as is known there; `None` if nobody does.
    fn current(&mut self) -> impl Future<Output = Result<Option<Leader>, Unreachable>> + Send;

    /// Waits until it says something else than `known`, for as long as that takes, and returns it. May be dropped at
    /// any time.
    fn changed(&mut self, known: Option<&Leader>) -> impl Future<Output = Option<Leader>> + Send;
}

/// A client's view of who leads: it follows a directory, and never goes back to an earlier grant.
///
/// It does not keep an old leader from answering: its writes are refused where a later epoch was promised. When a node
/// refuses and names a later grant, [`heard`](Self::heard) says so, and the old one is not gone to any more, whatever
/// the directory says.
///
/// ```
/// use core::future::{Future, ready};
/// use crdt_sync::failover::{Directory, Follow, Grant, Leader, Unreachable};
///
/// /// A directory on paper.
/// struct Paper(Leader);
///
/// impl Directory for Paper {
///     fn current(&mut self) -> impl Future<Output = Result<Option<Leader>, Unreachable>> + Send {
///         ready(Ok(Some(self.0.clone())))
///     }
///     async fn changed(&mut self, _known: Option<&Leader>) -> Option<Leader> {
///         Some(self.0.clone())
///     }
/// }
///
/// # fn main() {
/// let mut client = Follow::new(Paper(Leader { grant: Grant::FIRST, address: "10.0.0.7:7400".into() }));
/// # futures(async {
/// assert_eq!(client.look().await.map(|leader| leader.is_some()), Ok(true));
///
/// client.heard(Grant::FIRST.next().expect("there are more"));
/// assert_eq!(client.look().await, Ok(None), "what is on paper is out of date");
/// # });
/// # }
/// # fn futures(future: impl Future) {
/// #     let mut context = core::task::Context::from_waker(core::task::Waker::noop());
/// #     assert!(core::pin::pin!(future).poll(&mut context).is_ready());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Follow<D> {
    directory: D,
    told: Option<Leader>,
    leader: Option<Leader>,
    newest: Option<Grant>,
}

impl<D> Follow<D> {
    /// A client that follows what this directory says.
    pub const fn new(directory: D) -> Self {
        Self { directory, told: None, leader: None, newest: None }
    }

    /// Whom to go to, as was found out last.
    pub const fn leader(&self) -> Option<&Leader> {
        self.leader.as_ref()
    }

    /// Somebody was heard of who holds this grant: whoever holds an earlier one leads no more.
    pub fn heard(&mut self, grant: Grant) {
        self.newest = self.newest.max(Some(grant));
        self.leader.take_if(|leader| Some(leader.grant) < self.newest);
    }

    /// Takes what the directory says unless it is older than what is known. True if it was taken.
    fn take(&mut self, told: Option<Leader>) -> bool {
        self.told.clone_from(&told);
        if told.as_ref().is_some_and(|leader| Some(leader.grant) < self.newest) {
            return false;
        }
        self.newest = self.newest.max(told.as_ref().map(|leader| leader.grant));
        self.leader = told;
        true
    }
}

impl<D: Directory> Follow<D> {
    /// Asks the directory, once, and returns whom to go to. What is older than what was known already changes nothing.
    pub async fn look(&mut self) -> Result<Option<&Leader>, Unreachable> {
        let told = self.directory.current().await?;
        self.take(told);
        Ok(self.leader.as_ref())
    }

    /// Waits until there is something new to follow: a later leader, the same at another place, or nobody.
    pub async fn next(&mut self) -> Option<&Leader> {
        loop {
            let told = self.directory.changed(self.told.as_ref()).await;
            let before = self.leader.clone();
            if self.take(told) && self.leader != before {
                return self.leader.as_ref();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;
    use core::future::pending;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;

    /// Says one thing after the other, then waits for ever.
    struct Script(Vec<Option<Leader>>);

    impl Directory for Script {
        async fn current(&mut self) -> Result<Option<Leader>, Unreachable> {
            self.0.pop().ok_or(Unreachable { why: "it has said all".into() })
        }

        async fn changed(&mut self, known: Option<&Leader>) -> Option<Leader> {
            while let Some(said) = self.0.pop() {
                if said.as_ref() != known {
                    return said;
                }
            }
            pending().await
        }
    }

    fn leader(grant: u64) -> Option<Leader> {
        Grant::new(grant).map(|grant| Leader { grant, address: format!("10.0.0.{}:7400", grant.number()) })
    }

    fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_late_directory_does_not_send_a_client_back() {
        let mut client = Follow::new(Script([leader(1), leader(2), leader(1)].into()));
        for expected in [leader(1), leader(2), leader(2)] {
            assert_eq!(ready(client.look()), Some(Ok(expected.as_ref())));
        }
        assert!(ready(client.look()).unwrap().is_err());
        assert_eq!(client.leader(), leader(2).as_ref());
    }

    #[test]
    fn who_was_replaced_is_not_followed_though_the_directory_has_not_heard_of_it() {
        let mut client = Follow::new(Script([leader(4), None, leader(3)].into()));
        client.heard(Grant::new(4).unwrap());
        assert_eq!(ready(client.next()), Some(leader(4).as_ref()), "the third is passed over");
        assert_eq!(ready(client.next()), None);
    }

    proptest! {
        #[test]
        fn the_grants_that_a_client_follows_never_go_down(
            said in proptest::collection::vec(proptest::option::of(1_u64..6), 0..40),
            heard in proptest::collection::vec(proptest::option::of(1_u64..6), 40),
        ) {
            let mut client = Follow::new(Script(said.into_iter().map(|grant| grant.and_then(leader)).collect()));
            let mut newest = None;
            for heard in heard {
                if let Some(grant) = heard.and_then(Grant::new) {
                    client.heard(grant);
                    newest = newest.max(Some(grant));
                }
                let Some(followed) = ready(client.next()) else { break };
                if let Some(followed) = followed {
                    prop_assert!(Some(followed.grant) >= newest);
                    newest = Some(followed.grant);
                }
            }
        }
    }
}
