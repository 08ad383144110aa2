//! Failover: who leads when the leader does not, and how it never becomes two.
//!
//! Nobody leads without a [`Grant`], and each grant is given once, by a [`Coordinator`]: something outside, as etcd, or
//! the nodes themselves. Whoever was granted a later one makes the others promise its epoch, after which they take
//! nothing of an earlier one any more; the grant decides who leads, and the promises see to it that nobody else does.
//!
//! | module | what it does |
//! |---|---|
//! | `grant` | [`Grant`]: which epochs whoever leads may begin |
//! | `coordinator` | [`Coordinator`]: who grants them, and what it is asked |

pub mod coordinator;
pub(crate) mod grant;

pub use coordinator::{Answer, Ask, Coordinator, Tenure};
pub use grant::Grant;
