//! Laws, figures, fixed bytes, hostile bytes, lessons.

mod golden;
mod hostile;
mod layout_laws;
mod lessons;
mod liveness;
mod refill;
mod ring_balance;
mod ring_laws;
mod support;
