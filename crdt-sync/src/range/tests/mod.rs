mod cost;
mod deviations;
mod golden;
mod hostile;
mod lessons;
mod session;
mod support;
mod tree;
