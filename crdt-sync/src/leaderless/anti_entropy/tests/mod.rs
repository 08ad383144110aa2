//! A few nodes that do nothing but compare what they hold, over links that may lose, double and reorder.

mod convergence;
mod identity;
mod lessons;
mod pace;
mod world;
