//! The checks, on the workspace as it is. The name of a test is the rule.

use std::sync::LazyLock;

use tidy::{Workspace, crates, dependencies, docs, fuzz, modules, settle, text};

static WORKSPACE: LazyLock<Workspace> = LazyLock::new(Workspace::read);

#[test]
fn crates_import_only_what_the_architecture_allows() {
    settle(&crates::edges(&WORKSPACE));
}

#[test]
fn every_package_is_a_member_or_excluded() {
    settle(&crates::membership(&WORKSPACE));
}

#[test]
fn every_member_takes_lints_and_numbers_from_the_root() {
    settle(&crates::inheritance(&WORKSPACE));
}

#[test]
fn excluded_crates_stand_by_themselves_with_the_same_numbers() {
    settle(&crates::excluded(&WORKSPACE));
}

#[test]
fn anti_entropy_and_topologies_import_nothing_they_should_not() {
    settle(&modules::edges(&WORKSPACE));
}

#[test]
fn clocks_and_io_are_allowed_only_at_the_edges() {
    settle(&modules::allowances(&WORKSPACE));
}

#[test]
fn features_add_and_never_change() {
    settle(&modules::features_add(&WORKSPACE));
}

#[test]
fn bincode_is_named_in_one_module() {
    settle(&modules::one_door_to_bincode(&WORKSPACE));
}

#[test]
fn files_are_short() {
    settle(&text::lengths(&WORKSPACE));
}

#[test]
fn lines_are_narrow() {
    settle(&text::widths(&WORKSPACE));
}

#[test]
fn nothing_is_left_over() {
    settle(&text::leftovers(&WORKSPACE));
}

#[test]
fn words_are_plain() {
    settle(&text::words(&WORKSPACE));
}

#[test]
fn lints_are_switched_off_with_a_reason() {
    settle(&text::reasons(&WORKSPACE));
}

#[test]
fn every_readme_is_the_crate_doc() {
    settle(&docs::crate_docs(&WORKSPACE));
}

#[test]
fn documents_name_current_versions() {
    settle(&docs::versions(&WORKSPACE));
}

#[test]
fn the_readme_says_how_to_test_and_what_rust_it_needs() {
    settle(&docs::readme(&WORKSPACE));
}

#[test]
fn the_architecture_lists_every_crate() {
    settle(&docs::architecture(&WORKSPACE));
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    settle(&docs::invariants(&WORKSPACE));
}

#[test]
fn the_changelog_knows_the_current_version() {
    settle(&docs::changelog(&WORKSPACE));
}

#[test]
fn both_licences_are_here() {
    settle(&docs::licences(&WORKSPACE));
}

#[test]
fn the_promised_rust_version_is_one_the_dependencies_accept() {
    settle(&dependencies::rust_version(&WORKSPACE, &dependencies::metadata()));
}

#[test]
fn fuzz_targets_are_shims() {
    settle(&fuzz::shims(&WORKSPACE));
}

#[test]
fn every_fuzz_target_is_declared() {
    settle(&fuzz::declared(&WORKSPACE));
}
