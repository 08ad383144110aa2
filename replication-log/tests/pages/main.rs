//! Page tables: what they promise to whoever ships their entries and to whoever cuts the power.

mod crash;
mod errors;
mod format;
mod hostile;
mod lessons;
mod shipping;
mod tools;
