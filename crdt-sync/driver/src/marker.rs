//! A marker in the node's directory, by which a copy of the directory is told from the directory itself.
//!
//! A copied or restored directory must not go on under the identity of the original: somebody may know writes of
//! that identity that the copy does not hold, or the original is still running. The marker is a small file that
//! says which file it is: its inode number and when it was born. A copy of it is another file and gives itself away;
//! so does an old copy that was written over it, because the marker is made anew, as another file, whenever the
//! node opens or closes. Moving the directory within a file system leaves the file what it is.
//!
//! It is no proof. A restored image of a whole disk has its files as they were, and a node that did not close cannot
//! tell the marker of before from one that was copied while it ran. Then a peer that knows better is the first to
//! notice.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use replication_log::Lsn;
use thiserror::Error;
use tracing::warn;

const NAME: &str = "marker";
const UNBORN: &str = "marker.unborn";
const TITLE: &str = "crdt-sync marker 1";
/// Where systems keep a number of their own.
const HOST_ID: &str = "/etc/machine-id";

/// Why a node gave up its identity when it was opened, and writes under a fresh one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Doubt {
    /// The options say that the directory was restored.
    #[error("the options say that the directory was restored")]
    Told,
    /// The directory has a log and no marker.
    #[error("the directory has a log and no marker")]
    NoMarker,
    /// The marker cannot be read.
    #[error("the marker cannot be read")]
    Unreadable,
    /// The marker is a copy: the directory was copied, restored, or moved by copying.
    #[error("the marker is a copy")]
    Copied,
    /// The directory was marked on another machine.
    #[error("the directory was marked on another machine")]
    OtherHost,
    /// The log ends before a record that was durable when the directory was marked.
    #[error("the log ends at record {found}, and record {marked} was durable when it was marked")]
    Shortened {
        /// The last record durable then.
        marked: Lsn,
        /// The last record now.
        found: Lsn,
    },
}

/// The marker of a directory whose lock is held.
#[derive(Debug)]
pub(crate) struct Marker {
    directory: PathBuf,
}

/// What a marker says.
#[derive(Debug, PartialEq)]
struct Marked {
    file: FileIdentity,
    host: Option<String>,
    last: Lsn,
}

/// Which file a file is. What a system does not tell is `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FileIdentity {
    device: Option<u64>,
    inode: Option<u64>,
    /// In nanoseconds since 1970.
    born: Option<u128>,
}

impl Marker {
    pub(crate) fn of(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf() }
    }

    /// Whether the log of the directory, which ends with this record, may have another past than it seems.
    pub(crate) fn doubt(&self, last: Lsn) -> Option<Doubt> {
        let marked = match fs::read_to_string(self.directory.join(NAME)) {
            Ok(text) => Marked::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Doubt::NoMarker),
            Err(_) => None,
        };
        let file = fs::metadata(self.directory.join(NAME)).map(|metadata| FileIdentity::of(&metadata));
        let (Some(marked), Ok(file)) = (marked, file) else {
            return Some(Doubt::Unreadable);
        };
        marked.doubt(file, host().as_deref(), last)
    }

    /// Makes the marker anew, as another file. The log must have no past that is doubtful, up to this record.
    pub(crate) fn renew(&self, last: Lsn) {
        if let Err(error) = self.replace(last) {
            warn!(%error, "the directory cannot be marked; its next opening may take it for a copy");
        }
    }

    fn replace(&self, last: Lsn) -> io::Result<()> {
        let unborn = self.directory.join(UNBORN);
        match fs::remove_file(&unborn) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::create_new(&unborn)?;
        let marked = Marked { file: FileIdentity::of(&file.metadata()?), host: host(), last };
        file.write_all(marked.to_text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&unborn, self.directory.join(NAME))?;
        // Where a directory cannot be opened as a file, it cannot be synced either.
        File::open(&self.directory).and_then(|directory| directory.sync_all()).or(Ok(()))
    }
}

impl Marked {
    fn doubt(&self, file: FileIdentity, host: Option<&str>, last: Lsn) -> Option<Doubt> {
        if !self.file.is(file) {
            Some(Doubt::Copied)
        } else if self.host.as_deref().zip(host).is_some_and(|(marked, here)| marked != here) {
            Some(Doubt::OtherHost)
        } else {
            (last < self.last).then_some(Doubt::Shortened { marked: self.last, found: last })
        }
    }

    fn to_text(&self) -> String {
        let FileIdentity { device, inode, born } = self.file;
        let number = |number: Option<u128>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        format!(
            "{TITLE}\ndevice {}\ninode {}\nborn {}\nhost {}\nlast {}\n",
            number(device.map(u128::from)),
            number(inode.map(u128::from)),
            number(born),
            self.host.as_deref().unwrap_or("-"),
            self.last.get(),
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        lines.next().filter(|title| *title == TITLE)?;
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let (device, inode, born) = (value("device")?, value("inode")?, value("born")?);
        let (host, last) = (value("host")?, value("last")?);
        let known = |value: &str| (value != "-").then(|| value.parse::<u128>().ok());
        let number = |value: &str| known(value).map_or(Some(None), |number| number.map(Some));
        let small = |value: &str| Some(number(value)?.and_then(|number| u64::try_from(number).ok()));
        let file = FileIdentity { device: small(&device)?, inode: small(&inode)?, born: number(&born)? };
        Some(Self { file, host: (host != "-").then_some(host), last: Lsn::new(last.parse().ok()?) })
    }
}

impl FileIdentity {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let (device, inode) = {
            use std::os::unix::fs::MetadataExt;
            (Some(metadata.dev()), Some(metadata.ino()))
        };
        #[cfg(not(unix))]
        let (device, inode) = (None, None);
        let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Self { device, inode, born: born.map(|born| born.as_nanos()) }
    }

    /// Whether both are one file. Inode numbers are used again, births are not; devices may have another number after
    /// every start of the system, so they count only where nothing is known of the birth.
    fn is(self, other: Self) -> bool {
        let same_birth = match (self.born, other.born) {
            (Some(one), Some(other)) => one == other,
            _ => self.device == other.device,
        };
        same_birth && self.inode == other.inode
    }
}

/// The number of this machine, where it has one.
fn host() -> Option<String> {
    let id = fs::read_to_string(HOST_ID).ok()?;
    let id = id.trim();
    (!id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileIdentity = FileIdentity { device: Some(1), inode: Some(2), born: Some(3) };

    fn marked() -> Marked {
        Marked { file: FILE, host: Some("abc".into()), last: Lsn::new(9) }
    }

    #[test]
    fn a_marker_reads_as_it_was_written_and_anything_else_is_unreadable() {
        let unknown = FileIdentity { device: None, inode: None, born: None };
        let unknown = Marked { file: unknown, host: None, last: Lsn::ZERO };
        let known = "crdt-sync marker 1\ndevice 1\ninode 2\nborn 3\nhost abc\nlast 9\n";
        let dashes = "crdt-sync marker 1\ndevice -\ninode -\nborn -\nhost -\nlast 0\n";
        for (marked, text) in [(marked(), known), (unknown, dashes)] {
            assert_eq!(marked.to_text(), text);
            assert_eq!(Marked::parse(text), Some(marked));
        }
        let text = marked().to_text();
        assert_eq!(Marked::parse(&text.replace("inode 2", "inode two")), None);
        assert_eq!(Marked::parse(&text[..text.len() / 2]), None);
        assert_eq!(Marked::parse(""), None);
    }

    #[test]
    fn a_device_that_changed_its_number_is_no_copy_but_another_birth_or_inode_is() {
        let doubt = |file| marked().doubt(file, Some("abc"), Lsn::new(9));
        assert_eq!(doubt(FILE), None);
        assert_eq!(doubt(FileIdentity { device: Some(7), ..FILE }), None);
        assert_eq!(doubt(FileIdentity { born: Some(7), ..FILE }), Some(Doubt::Copied));
        assert_eq!(doubt(FileIdentity { inode: Some(7), ..FILE }), Some(Doubt::Copied));
        assert_eq!(doubt(FileIdentity { device: Some(7), born: None, ..FILE }), Some(Doubt::Copied));
    }

    #[test]
    fn another_machine_is_noticed_where_both_are_known() {
        let doubt = |host| marked().doubt(FILE, host, Lsn::new(9));
        assert_eq!(doubt(Some("def")), Some(Doubt::OtherHost));
        assert_eq!(doubt(None), None);
    }
}
