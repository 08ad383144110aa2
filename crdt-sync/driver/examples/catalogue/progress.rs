//! Progress bars, drawn on standard error when that is a terminal.

use std::time::Duration;

use crdt_sync::Event;
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};

use crate::load::Loaded;

const LOADING: &str = "  {prefix:12} loading {bar:30.cyan} {human_pos:>7} of {human_len} packages";
const SYNCING: &str = "  {prefix:12} syncing {bar:30.green} {human_pos:>7} of {human_len} states {msg}";

/// The bars of a run, one below the other.
pub(crate) struct Bars {
    all: MultiProgress,
}

impl Bars {
    pub(crate) fn new() -> Self {
        Self { all: MultiProgress::new() }
    }

    /// A bar for a replica that loads its catalogue.
    pub(crate) fn loading(&self, name: &str, packages: usize) -> ProgressBar {
        self.bar(name, LOADING, packages as u64)
    }

    /// A bar for a replica that syncs.
    pub(crate) fn syncing(&self, name: &str) -> SyncBar {
        let bar = self.bar(name, SYNCING, 0);
        // While trees are compared nothing moves; the steady redraw shows that the program lives.
        bar.enable_steady_tick(Duration::from_millis(100));
        SyncBar { bar, received: 0, sent: 0 }
    }

    fn bar(&self, name: &str, template: &str, length: u64) -> ProgressBar {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.all
            .add(ProgressBar::new(length))
            .with_style(style.progress_chars("━╸ "))
            .with_prefix(name.to_owned())
    }
}

/// Moves a bar to where a load is.
pub(crate) fn show_load(bar: &ProgressBar, loaded: Loaded) {
    bar.set_position(loaded.durable as u64);
    if loaded.durable == loaded.of {
        bar.finish();
    }
}

/// How many states a replica received and sent, in all sessions together.
pub(crate) struct SyncBar {
    bar: ProgressBar,
    /// In sessions that are over.
    received: u64,
    sent: u64,
}

impl SyncBar {
    /// Moves the bar with what happened in the engine.
    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::SessionProgress { received, sent, to_send, .. } => {
                self.draw(self.received + received, self.sent + sent, *to_send);
            }
            Event::SessionFinished { report, .. } => {
                self.received += report.states_received;
                self.sent += report.states_sent;
                self.draw(self.received, self.sent, 0);
            }
            _ => {}
        }
    }

    /// Prints a line above all bars.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    fn draw(&self, received: u64, sent: u64, to_send: u64) {
        self.bar.set_length(received + sent + to_send);
        self.bar.set_position(received + sent);
        self.bar.set_message(format!("({} in, {} out)", HumanCount(received), HumanCount(sent)));
    }
}

/// The bar stays on the screen as it was last.
impl Drop for SyncBar {
    fn drop(&mut self) {
        self.bar.abandon();
    }
}
