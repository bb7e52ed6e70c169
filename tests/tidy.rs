//! Style as a test: reads the repository's own files and holds what a machine can hold of the rules in CONTRIBUTING.md.

use std::path::Path;

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/markdown.rs"]
mod markdown;
#[path = "tidy/rust.rs"]
mod rust;
#[path = "tidy/text.rs"]
mod text;
#[path = "tidy/tree.rs"]
mod tree;

use tree::Tree;

/// One broken rule, with where: `path:line: what`.
type Complaint = String;

fn repository() -> Tree {
    Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")))
}

#[track_caller]
fn hold(complaints: Vec<Complaint>) {
    assert!(complaints.is_empty(), "{} to tidy up:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn the_tree_is_read() {
    let tree = repository();
    for path in ["Cargo.toml", "src/main.rs", "parser/src/lib.rs", "tests/tidy.rs", ".ci/run", "LICENSE-MIT"]
    {
        assert!(tree.text(path).is_some(), "{path} was not read");
    }
    assert!(tree.files().all(|file| !file.path.starts_with("target/") && !file.path.starts_with(".git/")));
}

#[test]
fn each_rust_file_says_its_job_first() {
    hold(repository().rust().flat_map(|file| rust::first_line(&file.path, &file.text)).collect());
}

#[test]
fn unsafe_stands_in_few_places_and_gives_its_reason() {
    hold(repository().rust().flat_map(|file| rust::unsafe_places(&file.path, &file.text)).collect());
}

#[test]
fn nothing_is_left_for_later() {
    hold(repository().rust().flat_map(|file| rust::left_for_later(&file.path, &file.text)).collect());
}

#[test]
fn imports_go_down_the_floors() {
    hold(repository().rust().flat_map(|file| floors::imports(&file.path, &file.text)).collect());
}

#[test]
fn crates_use_only_crates_below() {
    hold(repository().manifests().flat_map(|file| floors::dependencies(&file.path, &file.text)).collect());
}

#[test]
fn protocol_code_reads_no_clock_and_lua_knows_no_socket() {
    hold(repository().rust().flat_map(|file| floors::strangers(&file.path, &file.text)).collect());
}

#[test]
fn no_file_outgrows_the_others() {
    hold(repository().files().flat_map(|file| text::length(&file.path, &file.text)).collect());
}

#[test]
fn text_is_clean() {
    hold(repository().files().flat_map(|file| text::clean(&file.path, &file.text)).collect());
}

#[test]
fn nothing_names_one_machine() {
    hold(repository().files().flat_map(|file| text::machine_paths(&file.path, &file.text)).collect());
}

#[test]
fn scripts_can_be_started() {
    hold(
        repository()
            .files()
            .flat_map(|file| text::executable(&file.path, &file.text, file.executable))
            .collect(),
    );
}

#[test]
fn markdown_links_lead_somewhere() {
    let tree = repository();
    hold(tree.markdown().flat_map(|file| markdown::broken_links(&tree, &file.path, &file.text)).collect());
}
