//! Which paths an archive may have.

use std::collections::HashSet;

/// Bytes of one name, as file systems have it.
const MAX_NAME: usize = 255;

/// The paths that were seen so far, and the root that all of them have.
#[derive(Default)]
pub(super) struct Paths {
    root: Option<String>,
    files: HashSet<String>,
    directories: HashSet<String>,
}

impl Paths {
    /// Takes the next path, or says what is wrong with it.
    pub(super) fn add(&mut self, path: &str) -> Result<(), String> {
        check(path)?;
        let Some((root, _)) = path.split_once('/') else {
            return Err("it lies in no directory; all files of an archive lie in one, the root".into());
        };
        match &self.root {
            None => self.root = Some(root.into()),
            Some(first) if first != root => {
                return Err(format!(
                    "its root is '{root}', that of those before it is '{first}'; there may be only one"
                ));
            }
            Some(_) => {}
        }
        let mut directory = path;
        while let Some((parent, _)) = directory.rsplit_once('/') {
            if self.files.contains(parent) {
                return Err(format!("'{parent}' is a file of this archive, and cannot be a directory too"));
            }
            if !self.directories.insert(parent.into()) {
                break;
            }
            directory = parent;
        }
        if self.directories.contains(path) {
            return Err("it is a directory of this archive, and cannot be a file too".into());
        }
        if !self.files.insert(path.into()) {
            return Err("it is there twice".into());
        }
        Ok(())
    }

    /// The root, when all paths are known: there is one, and `ROOT.json` lies in it.
    pub(super) fn finish(self) -> Result<String, String> {
        let root = self.root.ok_or("it holds no file")?;
        let json = format!("{root}/{root}.json");
        if self.files.contains(&json) {
            Ok(root)
        } else {
            Err(format!("{json} is missing, the configuration of the service"))
        }
    }
}

/// A relative path without anything that leads elsewhere.
fn check(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("it is empty".into());
    }
    if path.starts_with('/') {
        return Err("it is absolute".into());
    }
    if let Some(odd) = path.chars().find(|c| c.is_control() || *c == '\\') {
        return Err(format!("it has the character {odd:?}"));
    }
    for name in path.split('/') {
        match name {
            "" => return Err("it has an empty name between two slashes or at its end".into()),
            "." | ".." => return Err(format!("it has the name '{name}', which leads elsewhere")),
            _ if name.len() > MAX_NAME => return Err(format!("it has a name of more than {MAX_NAME} bytes")),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(paths: &[&str], why: &str) {
        let mut all = Paths::default();
        let result = paths.iter().try_for_each(|path| all.add(path)).and_then(|()| all.finish().map(drop));
        let told = result.expect_err(&format!("{paths:?}"));
        assert!(told.contains(why), "{paths:?}: {told}");
    }

    #[test]
    fn a_root_with_its_configuration_is_fine() {
        let mut paths = Paths::default();
        for path in ["a/a.lua", "a/b/c.lua", "a/a.json", "a/b/d", "a/.hidden", "a/b/ü n", "a/..b"] {
            paths.add(path).unwrap();
        }
        assert_eq!(paths.finish().unwrap(), "a");
    }

    #[test]
    fn nothing_leads_out() {
        for (path, why) in [
            ("", "empty"),
            ("/a/b", "absolute"),
            ("//a", "absolute"),
            ("../a", "'..'"),
            ("a/../b", "'..'"),
            ("a/..", "'..'"),
            ("./a", "'.'"),
            ("a/./b", "'.'"),
            ("a//b", "empty name"),
            ("a/b/", "empty name"),
            ("a\\b", "'\\\\'"),
            ("a/..\\b", "'\\\\'"),
            ("a/b\0", "'\\0'"),
            ("a/b\n", "'\\n'"),
            ("a", "no directory"),
        ] {
            refused(&[path], why);
        }
        refused(&[&format!("a/{}", "x".repeat(256))], "255 bytes");
    }

    #[test]
    fn a_path_is_one_thing_and_there_is_one_root() {
        refused(&["a/b", "a/b"], "twice");
        refused(&["a/b", "a/b/c"], "cannot be a directory");
        refused(&["a/b/c/d", "a/b"], "cannot be a file");
        refused(&["a/b/c/d", "a/b/c"], "cannot be a file");
        refused(&["a/a.json", "b/a"], "only one");
        refused(&["a/b.json", "a/b/a.json"], "a/a.json is missing");
        refused(&[], "no file");
    }
}
