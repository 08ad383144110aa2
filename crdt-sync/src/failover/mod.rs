//! Failover: who leads when the leader does not, and how it never becomes two.
//!
//! Nobody leads without a [`Grant`], and each grant is given once, by a [`Coordinator`]: something outside, as etcd, or
//! the nodes themselves. Whoever was granted a later one makes the others promise its epoch, after which they take
//! nothing of an earlier one any more; the grant decides who leads, and the promises see to it that nobody else does.
//!
//! Everything here decides and does no IO. `docs/failover.md` says what is set how, and why.
//!
//! | module | what it does |
//! |---|---|
//! | `grant` | [`Grant`]: which epochs whoever leads may begin |
//! | `coordinator` | [`Coordinator`]: who grants them, and what it is asked |
//! | `lease` | [`LeaseTerms`]: how long a grant lasts, by clocks that run apart |
//! | [`voter`] | the nodes themselves as the coordinator: what each promises |
//! | `detector` | [`Detector`]: who has been silent for too long |
//! | [`election`] | who asks to lead, and who may not |
//! | [`stonith`] | an old leader that is stopped first |
//! | `config` | [`FailoverConfig`] |
//! | [`supervisor`] | one node's part in all of that |
//! | [`model`] | a coordinator in memory, for tests |
//! | `conformance` | what every coordinator has to keep, to hold adapters to it (feature `conformance`) |
//! | `directory` | [`Directory`]: where clients find who leads, and [`Follow`] it |

mod config;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod coordinator;
mod detector;
pub mod directory;
pub mod election;
pub(crate) mod grant;
mod lease;
pub mod model;
pub mod stonith;
pub mod supervisor;
pub mod voter;

pub use config::{ConfigError, FailoverConfig, GrantedBy, MAX_MEMBERS};
pub use coordinator::{Answer, Ask, Coordinator, Tenure};
pub use detector::{Accrual, Detection, Detector};
pub use directory::{Directory, Follow, Leader, Unreachable};
pub use grant::Grant;
pub use lease::LeaseTerms;
pub use supervisor::Supervisor;
pub use voter::Voter;
