//! Fuzz targets are shims: what they run lives in the crates, where it is compiled, tested and renamed with the rest.

use crate::{Complaint, SourceFile, Workspace};

const TARGETS: &str = "fuzz/fuzz_targets/";
const MANIFEST: &str = "fuzz/Cargo.toml";
const SHIM_LINES: usize = 10;

/// No fuzz target has more than a few lines of its own.
pub fn shims(workspace: &Workspace) -> Vec<Complaint> {
    let thick = |file: &SourceFile| {
        let lines =
            file.text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//")).count();
        let advice = format!("{lines} lines, at most {SHIM_LINES}: move the logic into the crate it tests");
        (lines > SHIM_LINES).then(|| Complaint::new(&file.path, advice))
    };
    targets(workspace).filter_map(thick).collect()
}

/// Every target file is declared, and every declared target has a file.
pub fn declared(workspace: &Workspace) -> Vec<Complaint> {
    let manifest: toml::Table =
        workspace.text(MANIFEST).and_then(|text| text.parse().ok()).unwrap_or_default();
    let bins = manifest.get("bin").and_then(|bins| bins.as_array()).map(Vec::as_slice).unwrap_or_default();
    let paths: Vec<String> =
        bins.iter().filter_map(|bin| bin.get("path")?.as_str()).map(|path| format!("fuzz/{path}")).collect();
    let undeclared = targets(workspace).filter(|file| !paths.contains(&file.path)).map(|file| {
        Complaint::new(&file.path, format!("declare it as a `[[bin]]` in {MANIFEST}, or it never runs"))
    });
    let absent = paths
        .iter()
        .filter(|path| !workspace.has(path))
        .map(|path| Complaint::new(MANIFEST, format!("`{path}` is declared but absent: remove it")));
    undeclared.chain(absent).collect()
}

fn targets(workspace: &Workspace) -> impl Iterator<Item = &SourceFile> {
    workspace.rust().filter(|file| file.path.starts_with(TARGETS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_with_logic_of_its_own_is_reported() {
        let thick = "x();\n".repeat(SHIM_LINES + 1);
        let workspace = Workspace::of([("fuzz/fuzz_targets/decode.rs", thick.as_str())]);
        assert_eq!(shims(&workspace).len(), 1);
        let thin =
            Workspace::of([("fuzz/fuzz_targets/decode.rs", "// Why.\n#![no_main]\nfuzz_target!();\n")]);
        assert_eq!(shims(&thin), []);
    }

    #[test]
    fn files_and_declarations_match() {
        let workspace = Workspace::of([
            ("fuzz/Cargo.toml", "[[bin]]\nname = \"gone\"\npath = \"fuzz_targets/gone.rs\"\n"),
            ("fuzz/fuzz_targets/new.rs", ""),
        ]);
        assert_eq!(declared(&workspace).len(), 2);
    }
}
