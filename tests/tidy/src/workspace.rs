//! The workspace as the checks see it: texts by path, manifests by folder.

use std::fmt;
use std::path::Path;

/// Every text file of the workspace, in path order.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// The files, sorted by path.
    pub files: Vec<SourceFile>,
}

/// One text file.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The path from the root of the workspace, with forward slashes.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// A `Cargo.toml` that describes a package.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The folder of the crate from the root of the workspace.
    pub folder: String,
    /// The name of the package.
    pub name: String,
    /// All of it.
    pub table: toml::Table,
}

/// A thing to be put right: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    place: String,
    advice: String,
}

/// Folders of build products and findings, which are nobody's text.
const NOT_OURS: [&str; 5] = ["target", ".git", "corpus", "artifacts", "coverage"];

/// What counts as text, by extension. A name without one is text too (`run`, `LICENSE-MIT`).
const TEXT: [&str; 9] = ["", "rs", "toml", "lock", "md", "txt", "sh", "yml", "json"];

impl Workspace {
    /// Reads the workspace that this crate is a member of.
    ///
    /// # Panics
    /// If the files cannot be read: there is nothing to check then.
    pub fn read() -> Self {
        let root = root();
        let mut workspace = Self::default();
        workspace.read_folder(&root, "");
        workspace.files.sort_by(|left, right| left.path.cmp(&right.path));
        workspace
    }

    /// A workspace of samples, for testing a check.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let file = |(path, text): (&str, &str)| SourceFile { path: path.into(), text: text.into() };
        Self { files: files.into_iter().map(file).collect() }
    }

    /// The text at `path`, if there is such a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Whether there is a file or folder at `path`.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    }

    /// The files of Rust code.
    pub fn rust(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| file.is("rs"))
    }

    /// The manifest at the root; empty if there is none.
    pub fn root_manifest(&self) -> toml::Table {
        self.text("Cargo.toml").map(parse).unwrap_or_default()
    }

    /// The manifests of all packages in the tree, members or not.
    pub fn manifests(&self) -> Vec<Manifest> {
        let package = |file: &SourceFile| {
            let folder = file.path.strip_suffix("/Cargo.toml")?.to_owned();
            let table = parse(&file.text);
            let name = table.get("package")?.get("name")?.as_str()?.to_owned();
            Some(Manifest { folder, name, table })
        };
        self.files.iter().filter_map(package).collect()
    }

    /// The manifests of the members, in the order of the root manifest. A member without one is left out.
    pub fn members(&self) -> Vec<Manifest> {
        let manifests = self.manifests();
        let listed = |folder: &String| manifests.iter().find(|manifest| manifest.folder == *folder).cloned();
        self.listed("members").iter().filter_map(listed).collect()
    }

    /// The folders that `[workspace]` lists under `key`.
    pub fn listed(&self, key: &str) -> Vec<String> {
        let root = self.root_manifest();
        let folders = root.get("workspace").and_then(|w| w.get(key)).and_then(|list| list.as_array());
        folders.into_iter().flatten().filter_map(|folder| folder.as_str().map(str::to_owned)).collect()
    }

    /// What `[workspace.package]` says under `key`; empty if it says nothing.
    pub fn package(&self, key: &str) -> String {
        let root = self.root_manifest();
        let value = root.get("workspace").and_then(|w| w.get("package")).and_then(|p| p.get(key));
        value.and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) {
        for entry in std::fs::read_dir(folder).expect("a readable folder") {
            let entry = entry.expect("a readable folder");
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if entry.path().is_dir() {
                if !NOT_OURS.contains(&name.as_str()) {
                    self.read_folder(&entry.path(), &format!("{path}/"));
                }
            } else if TEXT.contains(&extension(&name)) {
                let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                self.files.push(SourceFile { path, text });
            }
        }
    }
}

impl SourceFile {
    /// Whether the file has this extension.
    pub fn is(&self, kind: &str) -> bool {
        extension(&self.path) == kind
    }

    /// Whether a tool wrote it: lock files and recorded inputs.
    pub fn is_generated(&self) -> bool {
        self.is("lock") || self.is("json") || self.path.contains("proptest-regressions")
    }

    /// The lines with their numbers, counted from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }
}

impl Complaint {
    /// At `place`, do what `advice` says.
    pub fn new(place: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { place: place.into(), advice: advice.into() }
    }

    /// The same for one line of a file.
    pub fn at(file: &SourceFile, line: usize, advice: impl Into<String>) -> Self {
        Self::new(format!("{}:{line}", file.path), advice)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.advice)
    }
}

/// The root of the workspace, two folders above this crate.
pub(crate) fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What follows the last dot of the file name; nothing if it has none or begins with it.
fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or("", |(_, extension)| extension)
}

fn parse(text: &str) -> toml::Table {
    text.parse().unwrap_or_else(|error| panic!("a manifest is not TOML: {error}"))
}
