//! Writing what a replica shows to a file: a package, a tab, and its versions joined by commas.

use std::io::{BufWriter, Write};
use std::path::Path;

use crate::contents::Contents;
use crate::error::Failure;

/// Writes `<directory>/<name>.tsv`.
pub(crate) fn dump(directory: &Path, name: &str, contents: &Contents) -> Result<(), Failure> {
    let path = directory.join(format!("{name}.tsv"));
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::File::create(&path))
        .and_then(|file| write_lines(BufWriter::new(file), contents));
    written.map_err(|cause| Failure::Write { path, cause })
}

fn write_lines(mut out: impl Write, contents: &Contents) -> std::io::Result<()> {
    for package in &contents.packages {
        out.write_all(&package.name)?;
        for (nth, version) in package.shown.iter().enumerate() {
            out.write_all(if nth == 0 { b"\t" } else { b"," })?;
            out.write_all(version)?;
        }
        out.write_all(b"\n")?;
    }
    out.flush()
}
