//! The Markdown of the repository: its fenced blocks and its code between backticks.

use std::fs;
use std::path::{Path, PathBuf};

/// A Markdown file.
pub(crate) struct Page {
    /// Below the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A fenced block.
pub(crate) struct Block<'p> {
    /// The line of its fence, from 1.
    pub(crate) line: usize,
    /// What stands behind the fence.
    pub(crate) kind: &'p str,
    pub(crate) text: String,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All of them but the changelog, which tells of commands that were, too.
pub(crate) fn all() -> Vec<Page> {
    let mut found = Vec::new();
    look(root(), &mut found);
    let page = |path: PathBuf| Page {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
    };
    let mut pages: Vec<Page> =
        found.into_iter().map(page).filter(|page| page.path != "CHANGELOG.md").collect();
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(pages.iter().any(|page| page.path == "docs/commands.md"));
    pages
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn look(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            look(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

impl Page {
    /// Its fenced blocks.
    pub(crate) fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut open: Option<Block<'_>> = None;
        for (line, content) in (1..).zip(self.text.lines()) {
            match (&mut open, content.strip_prefix("```")) {
                (Some(_), Some("")) => blocks.extend(open.take()),
                (Some(block), _) => block.text.extend([content, "\n"]),
                (None, Some(kind)) => open = Some(Block { line, kind: kind.trim(), text: String::new() }),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block without an end", self.path);
        blocks
    }

    /// What stands between backticks outside of them, with the line.
    pub(crate) fn spans(&self) -> Vec<(usize, &str)> {
        let mut spans = Vec::new();
        let mut fenced = false;
        for (line, content) in (1..).zip(self.text.lines()) {
            if content.starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                spans.extend(content.split('`').skip(1).step_by(2).map(|span| (line, span)));
            }
        }
        spans
    }
}
