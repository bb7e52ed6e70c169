//! The repository's text files: everything below the root but what `.gitignore` names and what is not text.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// One text file.
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) executable: bool,
}

/// All text files, and the names of all others.
pub(crate) struct Tree {
    files: Vec<File>,
    /// Files that are not text, and directories: a link may lead there.
    others: Vec<String>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> Tree {
        let ignore = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
        let ignored: Vec<&str> = ignore.lines().map(str::trim).chain(["/.git"]).collect();
        let mut tree = Tree { files: Vec::new(), others: vec![String::new()] };
        tree.read_directory(root, "", &ignored);
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        tree
    }

    /// A tree for the checkers' own tests.
    pub(crate) fn of(files: &[(&str, &str)]) -> Tree {
        let file =
            |&(path, text): &(&str, &str)| File { path: path.into(), text: text.into(), executable: false };
        Tree { files: files.iter().map(file).collect(), others: Vec::new() }
    }

    fn read_directory(&mut self, directory: &Path, prefix: &str, ignored: &[&str]) {
        for entry in fs::read_dir(directory).expect("a readable directory") {
            let entry = entry.expect("a readable entry");
            let path = format!("{prefix}{}", entry.file_name().to_str().expect("a name in UTF-8"));
            if ignored.iter().any(|pattern| is_ignored(pattern, &path)) {
                continue;
            }
            let kind = entry.file_type().expect("a kind of file");
            if kind.is_dir() {
                self.others.push(path.clone());
                self.read_directory(&entry.path(), &format!("{path}/"), ignored);
            } else if kind.is_file() {
                // A file that another program is just replacing is nobody's fault.
                let Ok(bytes) = fs::read(entry.path()) else { continue };
                let executable = entry.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0);
                match String::from_utf8(bytes) {
                    Ok(text) => self.files.push(File { path, text, executable }),
                    Err(_) => self.others.push(path),
                }
            }
        }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files().filter(|file| file.path.ends_with(".rs"))
    }

    pub(crate) fn manifests(&self) -> impl Iterator<Item = &File> {
        self.files().filter(|file| file.path.rsplit('/').next() == Some("Cargo.toml"))
    }

    pub(crate) fn markdown(&self) -> impl Iterator<Item = &File> {
        self.files().filter(|file| file.path.ends_with(".md"))
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Whether there is a file or directory of this name.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.text(path).is_some() || self.others.iter().any(|other| other == path)
    }
}

/// The two forms that our `.gitignore` uses: `/path` from the root, and `*.ending` anywhere.
fn is_ignored(pattern: &str, path: &str) -> bool {
    match (pattern.strip_prefix('/'), pattern.strip_prefix('*')) {
        (Some(from_root), _) => path == from_root.trim_end_matches('/'),
        (None, Some(ending)) => !ending.is_empty() && path.ends_with(ending),
        (None, None) => false,
    }
}

#[test]
fn ignores_what_git_ignores() {
    assert!(is_ignored("/target", "target"));
    assert!(is_ignored("/fuzz/corpus/", "fuzz/corpus"));
    assert!(is_ignored("*.pyc", "autobahn/run.pyc"));
    assert!(!is_ignored("/target", "src/target"));
    assert!(!is_ignored("", "src"));
    assert!(!is_ignored("# *.rs", "src/main.rs"));
}
