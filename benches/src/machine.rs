//! What the machine says of itself, to be printed beside figures.
#![allow(clippy::disallowed_methods, reason = "the system tells by files")]

use std::path::Path;

/// The kind of file system that `folder` is on, where the system tells. What is in memory only syncs for free.
pub fn file_system(folder: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let mounts = mounts.filter(|(point, _)| folder.starts_with(point));
    mounts.max_by_key(|(point, _)| point.len()).map_or("an unknown file system", |(_, kind)| kind).to_owned()
}

/// The load of the machine.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
