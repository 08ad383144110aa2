//! Edges between modules, and what only some modules may touch.

use crate::rust::{code, code_lines, has_word, segments_after};
use crate::{Complaint, SourceFile, Workspace};

const ENGINE: &str = "crdt-sync/src/";

/// What a module of the engine crate may name at its root.
struct Edges {
    module: &'static str,
    may_name: MayName,
    because: &'static str,
}

enum MayName {
    Only(&'static [&'static str]),
    AnythingBut(&'static [&'static str]),
}

const TOPOLOGIES: &str =
    "the topologies stand beside each other: move what they share into `replica` or `engine`";
const ANTI_ENTROPY: &str = "anti-entropy works without the engine: pass in what it needs";

const PLACEMENT: &str = "placement is decided without the engine: pass in what it needs";

const ROUTING: &str = "routing is decided without the engine: tell it what it needs";

const FAILOVER: &str = "failover is decided without the engine: tell it what it needs";

const EDGES: [Edges; 10] = [
    Edges {
        module: "merkle",
        may_name: MayName::Only(&["merkle", "sketch", "limits"]),
        because: ANTI_ENTROPY,
    },
    Edges { module: "range", may_name: MayName::Only(&["range", "merkle", "limits"]), because: ANTI_ENTROPY },
    Edges { module: "sketch", may_name: MayName::Only(&["sketch", "limits"]), because: ANTI_ENTROPY },
    Edges {
        module: "placement",
        may_name: MayName::Only(&["placement", "node", "time", "limits"]),
        because: PLACEMENT,
    },
    Edges { module: "failover", may_name: MayName::Only(&["failover", "node", "time"]), because: FAILOVER },
    Edges { module: "routing", may_name: MayName::Only(&["routing", "node", "time"]), because: ROUTING },
    Edges {
        module: "reconcile",
        may_name: MayName::AnythingBut(&["single_leader", "multi_leader", "leaderless"]),
        because: "the sides of a session serve every topology: pass in what only one of them knows",
    },
    Edges {
        module: "single_leader",
        may_name: MayName::AnythingBut(&["multi_leader", "leaderless"]),
        because: TOPOLOGIES,
    },
    Edges {
        module: "multi_leader",
        may_name: MayName::AnythingBut(&["single_leader", "leaderless"]),
        because: TOPOLOGIES,
    },
    Edges {
        module: "leaderless",
        may_name: MayName::AnythingBut(&["single_leader", "multi_leader"]),
        because: TOPOLOGIES,
    },
];

/// Where clocks, disks, sockets, threads and chance are at home.
const EDGE_FILES: [&str; 8] = [
    "crdt-sync/driver/",
    "crdt-sync/adapters/",
    "crdt-sync/sim/src/bin/",
    "replication-log/src/storage/file",
    "replication-log/src/handle",
    "conflict-store/src/backend/redb/",
    "benches/",
    "tests/tidy/",
];

/// The one module that knows how bytes are written, and who else may compare with it.
const BINCODE: [&str; 2] = ["crdt-core/src/codec", "benches/"];

/// Anti-entropy names nothing of the engine, and no topology names another.
pub fn edges(workspace: &Workspace) -> Vec<Complaint> {
    let roots = root_modules(workspace);
    EDGES.iter().flat_map(|edges| workspace.rust().flat_map(|file| edges_of(edges, file, &roots))).collect()
}

/// An allowance for clocks and IO stands only in an edge or in a test.
pub fn allowances(workspace: &Workspace) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in workspace.rust().filter(|file| !is_edge(&file.path)) {
        for (line, code) in code_lines(&file.text) {
            if code.contains("clippy::disallowed_") {
                let advice = "clocks, IO and random order stay at the edges: pass in what is needed instead";
                complaints.push(Complaint::at(file, line, advice));
            }
        }
    }
    complaints
}

/// `bincode` is named in one module, so that its bytes can be owned and it can be replaced.
pub fn one_door_to_bincode(workspace: &Workspace) -> Vec<Complaint> {
    let elsewhere = |file: &&SourceFile| !BINCODE.iter().any(|home| file.path.starts_with(home));
    let mut complaints = Vec::new();
    for file in workspace.rust().filter(elsewhere) {
        for (line, code) in code_lines(&file.text).filter(|(_, code)| has_word(code, BINCODE_CRATE)) {
            if !code.contains('"') {
                complaints.push(Complaint::at(file, line, "encode through `crdt_core::codec`"));
            }
        }
    }
    for manifest in workspace.members() {
        let home = BINCODE.iter().any(|home| home.starts_with(&manifest.folder));
        let depends = manifest.table.get("dependencies").is_some_and(|d| d.get(BINCODE_CRATE).is_some());
        if depends && !home {
            let place = format!("{}/Cargo.toml", manifest.folder);
            complaints.push(Complaint::new(place, "drop bincode: encode through `crdt_core::codec`"));
        }
    }
    complaints
}

/// Features add: no code is there only while a feature is off. Where `std` is off something has to take its
/// place; those files are listed here, and what they give is the same.
pub fn features_add(workspace: &Workspace) -> Vec<Complaint> {
    const STAND_INS: [&str; 2] = ["replication-log/src/checksum.rs", "replication-log/src/storage/shared.rs"];
    let mut complaints = Vec::new();
    let library = |file: &&SourceFile| file.path.contains("/src/") && !file.path.contains("/tests/");
    for file in workspace.rust().filter(library).filter(|file| !STAND_INS.contains(&file.path.as_str())) {
        for (line, code) in code_lines(&file.text) {
            if code.contains(concat!("cfg(not(", "feature")) {
                let advice = "a feature must not change behaviour: do the same with and without it";
                complaints.push(Complaint::at(file, line, advice));
            }
        }
    }
    complaints
}

const BINCODE_CRATE: &str = "bincode";

fn edges_of(edges: &Edges, file: &SourceFile, roots: &[&str]) -> Vec<Complaint> {
    if !is_in_module(&file.path, edges.module) {
        return Vec::new();
    }
    let code = code(&file.text);
    let by_crate = segments_after(&code, "crate::").into_iter();
    // `super::` may climb to the root as well; only names of root modules are telling there.
    let by_super = segments_after(&code, "super::").into_iter().filter(|(_, name)| roots.contains(name));
    by_crate
        .chain(by_super)
        .filter(|(_, name)| match edges.may_name {
            MayName::Only(allowed) => !allowed.contains(name),
            MayName::AnythingBut(forbidden) => forbidden.contains(name),
        })
        .map(|(line, name)| {
            Complaint::at(file, line, format!("`{}` must not name `{name}`: {}", edges.module, edges.because))
        })
        .collect()
}

fn is_in_module(path: &str, module: &str) -> bool {
    let inside = path.strip_prefix(ENGINE).and_then(|path| path.strip_prefix(module));
    inside.is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

fn root_modules(workspace: &Workspace) -> Vec<&str> {
    let mut modules: Vec<&str> = workspace
        .rust()
        .filter_map(|file| file.path.strip_prefix(ENGINE)?.split(['/', '.']).next())
        .collect();
    modules.dedup();
    modules
}

fn is_edge(path: &str) -> bool {
    let test = path.contains("/tests/") || path.contains("/examples/") || path.ends_with("/tests.rs");
    test || EDGE_FILES.iter().any(|edge| path.starts_with(edge))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(complaints: &[Complaint]) -> Vec<String> {
        complaints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn code_for_the_absence_of_a_feature_is_reported() {
        let code = concat!("#[cfg(not(", "feature = \"fast\"))]\nfn slow() {}");
        let complaints = features_add(&Workspace::of([("quorum/src/tally.rs", code)]));
        assert_eq!(complaints.len(), 1, "{:?}", said(&complaints));
    }

    #[test]
    fn merkle_naming_the_engine_is_reported_however_it_is_spelled() {
        for import in
            ["use crate::engine::Engine;", "use crate::{limits, engine};", "use super::super::engine;"]
        {
            let workspace = Workspace::of([
                ("crdt-sync/src/engine/mod.rs", ""),
                ("crdt-sync/src/merkle/session.rs", import),
            ]);
            assert_eq!(
                said(&edges(&workspace)),
                [format!(
                    "crdt-sync/src/merkle/session.rs:1: `merkle` must not name `engine`: {ANTI_ENTROPY}"
                )],
                "{import}",
            );
        }
    }

    #[test]
    fn merkle_naming_itself_and_its_limits_is_fine() {
        let import =
            "use crate::{limits::MAX, merkle::Tree};\nuse super::tree::Leaf;\n/// See [`crate::engine`].\n";
        let workspace = Workspace::of([("crdt-sync/src/merkle/session.rs", import)]);
        assert_eq!(edges(&workspace), []);
    }

    #[test]
    fn a_topology_naming_another_is_reported() {
        let workspace = Workspace::of([
            (
                "crdt-sync/src/leaderless/mod.rs",
                "use crate::replica::Replica;\nuse crate::multi_leader::Peer;\n",
            ),
            ("crdt-sync/src/multi_leader.rs", "use crate::single_leader::Term;\n"),
        ]);
        let places: Vec<_> = said(&edges(&workspace));
        assert_eq!(places.len(), 2);
        assert!(places[0].starts_with("crdt-sync/src/multi_leader.rs:1: `multi_leader` must not name"));
        assert!(places[1].starts_with("crdt-sync/src/leaderless/mod.rs:2: `leaderless` must not name"));
    }

    #[test]
    fn what_the_topologies_share_naming_one_of_them_is_reported() {
        let shared = |import| Workspace::of([("crdt-sync/src/reconcile/session.rs", import)]);
        assert_eq!(edges(&shared("use crate::multi_leader::Lane;\n")).len(), 1);
        assert_eq!(edges(&shared("use crate::{merkle, replica::Replica, wire::Standing};\n")), []);
    }

    #[test]
    fn an_allowance_away_from_the_edges_is_reported() {
        let allow = "#![allow(clippy::disallowed_methods, reason = \"in a hurry\")]\n";
        let core = Workspace::of([("crdt-core/src/clock/hlc.rs", allow)]);
        assert_eq!(allowances(&core).len(), 1);
        let edge =
            Workspace::of([("crdt-sync/driver/src/lib.rs", allow), ("quorum/tests/lessons.rs", allow)]);
        assert_eq!(allowances(&edge), []);
    }

    #[test]
    fn a_second_door_to_bincode_is_reported() {
        let code = ("conflict-store/src/codec.rs", "use bincode::config;\n");
        let root = ("Cargo.toml", "[workspace]\nmembers = [\"conflict-store\"]\n");
        let manifest = (
            "conflict-store/Cargo.toml",
            "[package]\nname = \"conflict-store\"\n[dependencies]\nbincode = \"2\"\n",
        );
        assert_eq!(one_door_to_bincode(&Workspace::of([root, manifest, code])).len(), 2);

        let home = ("crdt-core/src/codec/mod.rs", "use bincode::config;\n");
        let aside = ("crdt-sync/src/wire/mod.rs", "// as bincode does\n");
        assert_eq!(one_door_to_bincode(&Workspace::of([home, aside])), []);
    }
}
