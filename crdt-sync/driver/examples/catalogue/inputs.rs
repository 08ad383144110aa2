//! Where catalogues come from: files, or the three releases that come with the example.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::cli::Args;
use crate::error::Failure;
use crate::tsv::{self, Entry};

const SHIPPED: [(&str, &[u8]); 3] = [
    ("bookworm", include_bytes!("data/bookworm.tsv.gz")),
    ("trixie", include_bytes!("data/trixie.tsv.gz")),
    ("sid", include_bytes!("data/sid.tsv.gz")),
];

/// A catalogue that was read, and the name of the replica that will hold it.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    /// The size of its text.
    pub(crate) bytes: u64,
    pub(crate) entries: Vec<Entry>,
}

/// The catalogues that were asked for, all of them read before anything is loaded.
pub(crate) fn gather(args: &Args) -> Result<Vec<Input>, Failure> {
    let mut inputs = match (args.differ, args.files.as_slice()) {
        (Some(count), _) => differing(count)?,
        (None, []) => SHIPPED.iter().map(shipped).collect::<Result<_, _>>()?,
        (None, [_]) => return Err(Failure::OnlyOneFile),
        (None, files) => files.iter().map(|file| read(file)).collect::<Result<_, _>>()?,
    };
    make_names_unique(&mut inputs);
    Ok(inputs)
}

/// Reads a catalogue from a file.
pub(crate) fn read(file: &Path) -> Result<Input, Failure> {
    let text = std::fs::read(file).map_err(|cause| Failure::Read { path: file.into(), cause })?;
    let name = file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    Ok(Input { name, bytes: text.len() as u64, entries: tsv::parse(&file.display().to_string(), &text)? })
}

fn shipped((name, packed): &(&str, &[u8])) -> Result<Input, Failure> {
    let path = PathBuf::from(format!("{name}.tsv.gz"));
    let mut text = Vec::new();
    GzDecoder::new(*packed).read_to_end(&mut text).map_err(|cause| Failure::Read { path, cause })?;
    Ok(Input { name: (*name).into(), bytes: text.len() as u64, entries: tsv::parse(name, &text)? })
}

/// The largest release, and a copy in which `count` versions, spread evenly, are others.
fn differing(count: usize) -> Result<Vec<Input>, Failure> {
    let [.., largest] = &SHIPPED;
    let (original, mut copy) = (shipped(largest)?, shipped(largest)?);
    let entries = copy.entries.len();
    if count > entries {
        return Err(Failure::TooManyDiffer { count, entries });
    }
    for changed in 0..count {
        let (_, version) = &mut copy.entries[changed * entries / count];
        *version = format!("{version}+local").as_str().into();
        copy.bytes += "+local".len() as u64;
    }
    copy.name = "copy".into();
    Ok(vec![original, copy])
}

/// Two files of one name in different folders become `name` and `name-2`.
fn make_names_unique(inputs: &mut [Input]) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for input in inputs {
        let stem = input.name.clone();
        let mut number = 2;
        while !taken.insert(input.name.clone()) {
            input.name = format!("{stem}-{number}");
            number += 1;
        }
    }
}
