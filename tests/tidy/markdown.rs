//! Links in Markdown: each relative one leads to a file or directory that is there, each `#` to a heading, and others are URLs.

use crate::Complaint;
use crate::tree::Tree;

pub(crate) fn broken_links(tree: &Tree, path: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (line, link) in links(text) {
        if let Some(wrong) = wrong_with(tree, path, text, &link) {
            complaints.push(format!("{path}:{line}: {link}: {wrong}"));
        }
    }
    complaints
}

fn wrong_with(tree: &Tree, path: &str, text: &str, link: &str) -> Option<&'static str> {
    if let Some(rest) = ["http://", "https://"].iter().find_map(|scheme| link.strip_prefix(scheme)) {
        return wrong_with_url(rest);
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { path.to_string() } else { resolve(path, file)? };
    if !tree.has(&target) {
        return Some("there is no such file");
    }
    let headings = if file.is_empty() { text } else { tree.text(&target).unwrap_or_default() };
    match anchor {
        Some(anchor) if target.ends_with(".md") && !anchors(headings).contains(&anchor.to_string()) => {
            Some("there is no such heading")
        }
        _ => None,
    }
}

/// What stands behind the scheme: a host, perhaps a port, and nothing that no URL can have (RFC 3986).
fn wrong_with_url(rest: &str) -> Option<&'static str> {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "0"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    if host.is_empty() || !host.chars().all(is_name) || port.parse::<u16>().is_err() {
        return Some("this host cannot be");
    }
    let is_allowed = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    (!rest.chars().all(is_allowed)).then_some("a character that no URL can have")
}

/// The path from the root that `link` means in the file `from`.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// `[…](target)` and `[…]: target`, with the line, outside of code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code(line);
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((number, target.trim_matches(['<', '>']).to_string()));
        }
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            found.push((number, target.split(' ').next().unwrap_or_default().to_string()));
        }
    }
    found
}

/// The lines outside of fenced code, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What stands between backticks is not a link.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The names that headings get on the usual hosts: lower case, hyphens for spaces, no punctuation.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase();
        let before = anchors.iter().filter(|known| **known == anchor).count();
        anchors.push(if before == 0 { anchor } else { format!("{anchor}-{before}") });
    }
    anchors
}

#[test]
fn follows_links() {
    let readme = "# Top\n## The `lapps` way, 2nd\n[a](docs/a.md#one-two) [b](docs) [c](#the-lapps-way-2nd) [d](https://x.y/)";
    let tree =
        Tree::of(&[("README.md", readme), ("docs/a.md", "# One: two\n[up](../README.md#top)"), ("docs", "")]);
    for file in tree.markdown() {
        assert_eq!(broken_links(&tree, &file.path, &file.text), [""; 0]);
    }
}

#[test]
fn finds_broken_links() {
    let text = "[a](gone.md)\n[b](README.md#gone)\n[c](#gone)\n\n[d]: gone/\n[e](../outside.md \"title\")\n[f](https:///x) [g](http://a.b:x/)\n\
                [h](https://a.b/ä) [i](https://a.b:80/c?d=e#f)\n";
    let tree = Tree::of(&[("README.md", text)]);
    let found = broken_links(&tree, "README.md", text);
    // A link out of the repository is nothing that can be checked.
    assert_eq!(found.len(), 7, "{found:?}");
}

#[test]
fn leaves_code_alone() {
    let text = "```lua\n[a](gone.md)\n# not a heading\n```\n`[b](gone.md)` and ``` [c](gone.md) ```\n";
    let tree = Tree::of(&[("README.md", text)]);
    assert_eq!(broken_links(&tree, "README.md", text), [""; 0]);
    assert_eq!(anchors(text), [""; 0]);
}
