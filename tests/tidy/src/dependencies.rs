//! What the dependencies demand of those who use the family.

use std::process::Command;

use crate::{Complaint, Workspace};

/// The Rust version that the root promises is one that every dependency accepts.
///
/// `metadata` is what `cargo metadata --format-version 1` says.
pub fn rust_version(workspace: &Workspace, metadata: &serde_json::Value) -> Vec<Complaint> {
    let promised = workspace.package("rust-version");
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let demanding = packages.iter().filter_map(|package| {
        let demanded = package["rust_version"].as_str()?;
        (version(demanded) > version(&promised)).then_some((package, demanded))
    });
    demanding
        .map(|(package, demanded)| {
            let (name, release) = (&package["name"], &package["version"]);
            let advice =
                format!("rust-version is {promised} but {name} {release} needs {demanded}: raise it, or pin");
            Complaint::new("Cargo.toml", advice)
        })
        .collect()
}

/// The metadata of the workspace for the machine that runs the test. Nothing is downloaded if all of it is here, as
/// it is after the whole workspace was built.
///
/// # Panics
/// If cargo cannot tell: there is nothing to check then.
pub fn metadata() -> serde_json::Value {
    let answer = ask_cargo(&["--offline"]).or_else(|_| ask_cargo(&[]));
    let metadata = answer.unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    serde_json::from_str(&metadata).expect("cargo metadata is JSON")
}

fn ask_cargo(options: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let answer = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--filter-platform", &host()])
        .args(options)
        .current_dir(crate::workspace::root())
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if answer.status.success() { Ok(text(answer.stdout)) } else { Err(text(answer.stderr)) }
}

/// The target triple of this machine. Packages of other platforms need not have been downloaded.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer = Command::new(rustc).arg("-vV").output().expect("rustc can be run");
    let text = String::from_utf8_lossy(&answer.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

fn version(text: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = text.split('.').map(|number| number.parse().unwrap_or(0)).collect();
    numbers.resize(3, 0);
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_needs_a_newer_rust_is_reported() {
        let workspace = Workspace::of([("Cargo.toml", "[workspace.package]\nrust-version = \"1.88\"\n")]);
        let metadata = serde_json::json!({ "packages": [
            { "name": "calm", "version": "1.0.0", "rust_version": "1.88.0" },
            { "name": "silent", "version": "1.0.0", "rust_version": null },
            { "name": "hasty", "version": "2.1.0", "rust_version": "1.100" },
        ]});
        let complaints = rust_version(&workspace, &metadata);
        assert_eq!(
            complaints.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["Cargo.toml: rust-version is 1.88 but \"hasty\" \"2.1.0\" needs 1.100: raise it, or pin"],
        );
    }
}
