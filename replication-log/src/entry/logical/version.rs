//! Which version of the entry format two peers speak.

/// The versions of the entry format that this build reads and writes.
///
/// An entry states the lowest version that can read it, so a newer build goes on writing what older
/// ones understand wherever it can.
pub const FORMAT_VERSIONS: FormatVersions = FormatVersions { min: 1, max: 1 };

/// The versions of a format that a peer reads and writes, from the lowest to the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatVersions {
    /// The lowest.
    pub min: u8,
    /// The highest.
    pub max: u8,
}

impl FormatVersions {
    /// The highest version that both peers speak. Both sides come to the same answer.
    ///
    /// ```
    /// use replication_log::entry::logical::{FormatVersions, NoCommonVersion};
    ///
    /// let old = FormatVersions { min: 1, max: 2 };
    /// let new = FormatVersions { min: 2, max: 4 };
    /// assert_eq!(old.common(new), Ok(2));
    /// let newest = FormatVersions { min: 3, max: 4 };
    /// assert_eq!(old.common(newest), Err(NoCommonVersion { ours: old, theirs: newest }));
    /// ```
    pub fn common(self, theirs: Self) -> Result<u8, NoCommonVersion> {
        let (lowest, highest) = (self.min.max(theirs.min), self.max.min(theirs.max));
        if lowest <= highest { Ok(highest) } else { Err(NoCommonVersion { ours: self, theirs }) }
    }
}

impl core::fmt::Display for FormatVersions {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{} to {}", self.min, self.max)
    }
}

/// Two peers have no version of the entry format in common. Nothing was exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this side speaks entry format versions {ours}, the peer {theirs}: one of them has to be upgraded")]
pub struct NoCommonVersion {
    /// What this side speaks.
    pub ours: FormatVersions,
    /// What the peer speaks.
    pub theirs: FormatVersions,
}
