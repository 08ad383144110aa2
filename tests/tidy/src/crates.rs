//! Edges between crates, and what every member takes from the root.

use crate::{Complaint, Manifest, Workspace};

/// The crates of the family that others may import.
pub const FAMILY: [&str; 11] = [
    "crdt-core",
    "quorum",
    "replication-log",
    "conflict-store",
    "crdt-sync",
    "crdt-sync-sim",
    "crdt-sync-driver",
    "crdt-sync-dns",
    "crdt-sync-etcd",
    "crdt-sync-http",
    "crdt-sync-raft",
];

const FOUR: &[&str] = &["crdt-core", "quorum", "replication-log", "conflict-store"];
const ENGINE_AND_FOUR: &[&str] = &["crdt-core", "quorum", "replication-log", "conflict-store", "crdt-sync"];

/// Who may import whom: the folder of a crate (a trailing `/` means everything below) and the crates it may name.
/// A crate that is not here has no place in the architecture yet.
const MAY_IMPORT: [(&str, &[&str]); 11] = [
    ("crdt-core", &[]),
    ("quorum", &[]),
    ("replication-log", &["quorum"]),
    ("conflict-store", &["crdt-core"]),
    ("crdt-sync", FOUR),
    ("crdt-sync/sim", ENGINE_AND_FOUR),
    ("crdt-sync/driver", ENGINE_AND_FOUR),
    // Its tests compare all ways to find the leader.
    ("crdt-sync/adapters/etcd", &["crdt-sync", "crdt-sync-dns", "crdt-sync-http"]),
    ("crdt-sync/adapters/", ENGINE_AND_FOUR),
    ("benches", &FAMILY),
    ("tests/tidy", &[]),
];

/// What a member takes from `[workspace.package]` instead of repeating it.
const INHERITED: [&str; 4] = ["version", "edition", "rust-version", "license"];

/// Every edge inside the family, whatever kind of dependency it is, is one that the architecture allows.
pub fn edges(workspace: &Workspace) -> Vec<Complaint> {
    workspace.members().iter().flat_map(edges_of).collect()
}

/// The members are exactly the packages in the tree that are not excluded.
pub fn membership(workspace: &Workspace) -> Vec<Complaint> {
    let (members, excluded) = (workspace.listed("members"), workspace.listed("exclude"));
    let manifests = workspace.manifests();
    let stray = manifests
        .iter()
        .filter(|manifest| !members.contains(&manifest.folder) && !excluded.contains(&manifest.folder))
        .map(|manifest| Complaint::new(&manifest.folder, "add it to `members` of the root manifest"));
    let absent = members
        .iter()
        .filter(|member| !manifests.iter().any(|manifest| manifest.folder == **member))
        .map(|member| {
            Complaint::new("Cargo.toml", format!("the member `{member}` has no manifest: remove it"))
        });
    stray.chain(absent).collect()
}

/// Every member uses the lints of the workspace and repeats none of its numbers.
pub fn inheritance(workspace: &Workspace) -> Vec<Complaint> {
    workspace.members().iter().flat_map(inheritance_of).collect()
}

/// The excluded crates cannot inherit, so they repeat the numbers, and repeat them right.
pub fn excluded(workspace: &Workspace) -> Vec<Complaint> {
    let excluded = workspace.listed("exclude");
    let manifests = workspace.manifests();
    let mut complaints = Vec::new();
    for folder in excluded {
        let Some(manifest) = manifests.iter().find(|manifest| manifest.folder == folder) else {
            complaints
                .push(Complaint::new("Cargo.toml", format!("`{folder}` is excluded but absent: remove it")));
            continue;
        };
        let place = format!("{folder}/Cargo.toml");
        if !manifest.table.contains_key("workspace") {
            complaints.push(Complaint::new(&place, "add an empty `[workspace]`: it is no member"));
        }
        if !workspace.has(&format!("{folder}/Cargo.lock")) {
            complaints.push(Complaint::new(&place, "commit its own Cargo.lock beside it"));
        }
        for key in ["edition", "license"] {
            let said =
                manifest.table["package"].get(key).and_then(|value| value.as_str()).unwrap_or_default();
            let meant = workspace.package(key);
            if said != meant {
                complaints
                    .push(Complaint::new(&place, format!("write {key} = \"{meant}\", as the root does")));
            }
        }
    }
    complaints
}

fn edges_of(manifest: &Manifest) -> Vec<Complaint> {
    let place = format!("{}/Cargo.toml", manifest.folder);
    let Some(allowed) = may_import(&manifest.folder) else {
        return vec![Complaint::new(place, "say in tests/tidy/src/crates.rs what this crate may import")];
    };
    family_dependencies(&manifest.table)
        .into_iter()
        .filter(|dependency| *dependency != manifest.name && !allowed.contains(&dependency.as_str()))
        .map(|dependency| {
            let advice = match allowed {
                [] => format!("must not import `{dependency}`: it imports nothing of the family"),
                _ => format!(
                    "must not import `{dependency}`: only {} may be imported here",
                    allowed.join(", ")
                ),
            };
            Complaint::new(&place, advice)
        })
        .collect()
}

fn may_import(folder: &str) -> Option<&'static [&'static str]> {
    let row = |(place, _): &&(&str, &[&str])| {
        *place == folder || (place.ends_with('/') && folder.starts_with(place))
    };
    MAY_IMPORT.iter().find(row).map(|(_, allowed)| *allowed)
}

/// Every family crate that a manifest names: as a dependency of any kind or target, also under another name.
fn family_dependencies(table: &toml::Table) -> Vec<String> {
    let targets = table.get("target").and_then(|target| target.as_table());
    let scopes =
        std::iter::once(table).chain(targets.into_iter().flatten().filter_map(|(_, scope)| scope.as_table()));
    let mut found: Vec<String> = scopes
        .flat_map(|scope| {
            ["dependencies", "dev-dependencies", "build-dependencies"].map(|kind| scope.get(kind))
        })
        .filter_map(|dependencies| dependencies?.as_table())
        .flatten()
        .map(|(name, detail)| {
            let renamed = detail.get("package").and_then(|package| package.as_str());
            renamed.unwrap_or(name).to_owned()
        })
        .filter(|name| FAMILY.contains(&name.as_str()))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn inheritance_of(manifest: &Manifest) -> Vec<Complaint> {
    let place = format!("{}/Cargo.toml", manifest.folder);
    let inherits =
        |table: Option<&toml::Value>| table.and_then(|table| table.get("workspace")?.as_bool()) == Some(true);
    let mut complaints = Vec::new();
    if !inherits(manifest.table.get("lints")) {
        complaints.push(Complaint::new(&place, "add `[lints] workspace = true`"));
    }
    for key in INHERITED {
        if !inherits(manifest.table["package"].get(key)) {
            complaints.push(Complaint::new(&place, format!("write `{key}.workspace = true`")));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(folder: &str, manifest: &str) -> Workspace {
        let root = format!(
            "[workspace]\nmembers = [\"{folder}\"]\nexclude = [\"fuzz\"]\n\
             [workspace.package]\nedition = \"2024\"\nlicense = \"MIT\"\n"
        );
        Workspace::of([("Cargo.toml", root.as_str()), (format!("{folder}/Cargo.toml").as_str(), manifest)])
    }

    fn said(complaints: &[Complaint]) -> Vec<String> {
        complaints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_edge_against_the_current_is_reported_whatever_its_kind() {
        for section in
            ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
        {
            let manifest = format!("[package]\nname = \"quorum\"\n[{section}]\ncrdt-core.workspace = true\n");
            assert_eq!(
                said(&edges(&workspace("quorum", &manifest))),
                ["quorum/Cargo.toml: must not import `crdt-core`: it imports nothing of the family"],
            );
        }
    }

    #[test]
    fn another_name_does_not_hide_an_edge() {
        let manifest = "[package]\nname = \"conflict-store\"\n[dependencies]\nq = { package = \"quorum\" }\n";
        assert_eq!(
            said(&edges(&workspace("conflict-store", manifest))),
            ["conflict-store/Cargo.toml: must not import `quorum`: only crdt-core may be imported here"],
        );
    }

    #[test]
    fn edges_with_the_current_are_fine() {
        let manifest =
            "[package]\nname = \"crdt-sync\"\n[dependencies]\nquorum.workspace = true\nserde = \"1\"\n";
        assert_eq!(edges(&workspace("crdt-sync", manifest)), []);
        let adapter = "[package]\nname = \"crdt-sync-etcd\"\n[dependencies]\ncrdt-sync.workspace = true\n";
        assert_eq!(edges(&workspace("crdt-sync/adapters/etcd", adapter)), []);
    }

    #[test]
    fn a_crate_without_a_place_in_the_architecture_is_reported() {
        let complaints = edges(&workspace("helpers", "[package]\nname = \"helpers\"\n"));
        assert_eq!(complaints.len(), 1);
    }

    #[test]
    fn strays_and_ghosts_are_reported() {
        let stray = Workspace::of([
            ("Cargo.toml", "[workspace]\nmembers = [\"ghost\"]\n"),
            ("stray/Cargo.toml", "[package]\nname = \"stray\"\n"),
        ]);
        assert_eq!(
            said(&membership(&stray)),
            [
                "stray: add it to `members` of the root manifest",
                "Cargo.toml: the member `ghost` has no manifest: remove it",
            ],
        );
    }

    #[test]
    fn a_member_that_inherits_nothing_is_told_five_times() {
        let bare = "[package]\nname = \"quorum\"\nversion = \"0.1.0\"\nlints = \"loose\"\n";
        assert_eq!(inheritance(&workspace("quorum", bare)).len(), 5);
    }

    #[test]
    fn an_excluded_crate_repeats_the_numbers_right() {
        let mut sample = workspace("quorum", "[package]\nname = \"quorum\"\n");
        assert_eq!(said(&excluded(&sample)), ["Cargo.toml: `fuzz` is excluded but absent: remove it"]);

        let fuzz = "[package]\nname = \"fuzz\"\nedition = \"2021\"\nlicense = \"MIT\"\n";
        sample.files.extend(Workspace::of([("fuzz/Cargo.toml", fuzz)]).files);
        assert_eq!(
            said(&excluded(&sample)),
            [
                "fuzz/Cargo.toml: add an empty `[workspace]`: it is no member",
                "fuzz/Cargo.toml: commit its own Cargo.lock beside it",
                "fuzz/Cargo.toml: write edition = \"2024\", as the root does",
            ],
        );
    }
}
