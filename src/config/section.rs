//! Reads the keys of one JSON object by the table of known keys; whatever does not fit is reported and its default taken.

use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::common::Ranged;

use super::document::{Document, Node, join, nearest};
use super::keys::{self, Fallback, Key, Kind};

/// An object of a document, or the absence of one: then every key has its default.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    path: String,
    node: Option<Node<'d>>,
}

impl<'d> Section<'d> {
    /// The outermost object of a document.
    pub(super) fn root(
        document: &'d Document<'d>,
        value: Option<&'d Value<'d>>,
        keys: &'static [Key],
    ) -> Self {
        Section::of(document, String::new(), value, &[keys])
    }

    /// The outermost object of a document that is the section of one service, with its name.
    pub(super) fn service_alone(document: &'d Document<'d>, value: Option<&'d Value<'d>>) -> Self {
        Section::of(document, String::new(), value, &[&[keys::NAME], keys::SERVICE_KEYS])
    }

    fn of(
        document: &'d Document<'d>,
        path: String,
        value: Option<&'d Value<'d>>,
        keys: &[&'static [Key]],
    ) -> Section<'d> {
        let node = value.map(|value| Node::new(document, path.clone(), value));
        let section = Section { document, path, node };
        section.report_unknown(keys);
        section
    }

    /// The value of a key, if the key is there.
    pub(super) fn node(&self, key: &Key) -> Option<Node<'d>> {
        let node = self.node.as_ref()?;
        let property = node.object()?.get(key.name)?;
        Some(node.below(property))
    }

    /// The value of a flag.
    pub(super) fn flag(&self, key: &Key) -> bool {
        self.flag_if_there(key).unwrap_or_else(|| written(key) == "true")
    }

    /// The value of a flag that is there and right.
    pub(super) fn flag_if_there(&self, key: &Key) -> Option<bool> {
        let node = self.node(key)?;
        let value = node.value.as_boolean_lit().map(|literal| literal.value);
        if value.is_none() {
            wrong_type(&node, &key.kind);
        }
        value
    }

    /// A whole number within the key's range.
    pub(super) fn integer(&self, key: &Key) -> u64 {
        self.integer_if_there(key).unwrap_or_else(|| written(key).parse().unwrap_or_default())
    }

    /// A whole number within the key's range, if it is there and right.
    pub(super) fn integer_if_there(&self, key: &Key) -> Option<u64> {
        let node = self.node(key)?;
        let Some(literal) = node.value.as_number_lit() else {
            wrong_type(&node, &key.kind);
            return None;
        };
        match whole_number(literal.value) {
            Some(number) if key.kind.admits(number) => Some(number),
            Some(_) => {
                node.wrong("out of range", allowed(&key.kind));
                None
            }
            None => {
                let wrong =
                    if literal.value.starts_with('-') { "out of range" } else { "not a whole number" };
                node.wrong(wrong, allowed(&key.kind));
                None
            }
        }
    }

    /// A number above 0.
    pub(super) fn positive(&self, key: &Key) -> f64 {
        self.positive_if_there(key).unwrap_or_else(|| written(key).parse().unwrap_or_default())
    }

    fn positive_if_there(&self, key: &Key) -> Option<f64> {
        let node = self.node(key)?;
        let Kind::Positive { max: limit } = key.kind else { return None };
        let Some(literal) = node.value.as_number_lit() else {
            wrong_type(&node, &key.kind);
            return None;
        };
        match literal.value.parse::<f64>() {
            Ok(number) if number > 0.0 && number <= limit => Some(number),
            _ => {
                node.wrong("out of range", allowed(&key.kind));
                None
            }
        }
    }

    /// A string or its default.
    pub(super) fn text(&self, key: &Key) -> String {
        self.text_if_there(key).map_or_else(|| written(key).to_string(), |(text, _)| text)
    }

    /// A string that is there, with its place.
    pub(super) fn text_if_there(&self, key: &Key) -> Option<(String, Node<'d>)> {
        let node = self.node(key)?;
        match string(&node) {
            Some(text) => Some((text.to_string(), node)),
            None => {
                wrong_type(&node, &key.kind);
                None
            }
        }
    }

    /// One of the key's words or its default.
    pub(super) fn word(&self, key: &Key) -> &'static str {
        self.word_if_there(key).unwrap_or_else(|| written(key))
    }

    /// One of the key's words, if one is there.
    pub(super) fn word_if_there(&self, key: &Key) -> Option<&'static str> {
        let Kind::OneOf(words) = key.kind else { return None };
        let (text, node) = self.text_if_there(key)?;
        let found = words.iter().copied().find(|word| *word == text);
        if found.is_none() {
            node.wrong_near("unknown word", allowed(&key.kind), nearest(&text, words.iter().copied()));
        }
        found
    }

    /// The strings of a list, each with its place; what is no string is reported and left out.
    pub(super) fn list(&self, key: &Key) -> Option<Vec<(String, Node<'d>)>> {
        let node = self.node(key)?;
        let array = match node.value {
            Value::Array(array) => array,
            Value::NullKeyword(_) if matches!(key.kind, Kind::ListOrNull(_)) => return Some(Vec::new()),
            _ => {
                wrong_type(&node, &key.kind);
                return None;
            }
        };
        let mut found = Vec::with_capacity(array.elements.len());
        for (index, element) in array.elements.iter().enumerate() {
            let element = node.element(index, element);
            match string(&element) {
                Some(text) => found.push((text.to_string(), element)),
                None => wrong_type(&element, &key.kind),
            }
        }
        Some(found)
    }

    /// The strings of an object with free names, sorted by name.
    pub(super) fn strings(&self, key: &Key) -> Vec<(String, String, Node<'d>)> {
        let mut found = Vec::new();
        for (name, node) in self.properties(key) {
            match string(&node) {
                Some(text) => found.push((name.to_string(), text.to_string(), node)),
                None => wrong_type(&node, &key.kind),
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// The element of a list that is this string.
    pub(super) fn element(&self, key: &Key, text: &str) -> Option<Node<'d>> {
        let list = self.node(key)?;
        let elements = &list.value.as_array()?.elements;
        let mut nodes = elements.iter().enumerate().map(|(index, element)| list.element(index, element));
        nodes.find(|node| string(node) == Some(text))
    }

    /// The section below a key; an empty one if the key is absent.
    pub(super) fn section(&self, key: &Key) -> Section<'d> {
        let value = self.node(key).map(|node| node.value);
        Section::of(self.document, join(&self.path, key.name), value, &[key.kind.below()])
    }

    /// The sections below a key whose names are free.
    pub(super) fn sections(&self, key: &Key) -> Vec<(&'d str, Section<'d>)> {
        self.properties(key)
            .into_iter()
            .map(|(name, node)| {
                (name, Section::of(self.document, node.path, Some(node.value), &[key.kind.below()]))
            })
            .collect()
    }

    /// Reports that a key is missing; its line is that of the object where it should stand, or if that is not there either, of
    /// the key that makes it necessary.
    pub(super) fn missing(&self, key: &Key, why: &str, because: Option<&Node<'_>>) {
        let at = self.node.as_ref().or(because).map(|node| node.value.start());
        let mut mistake = self.document.mistake(at, &join(&self.path, key.name), format!("missing; {why}"));
        mistake.allowed = allowed(&key.kind);
        self.document.report(mistake);
    }

    /// Reports something about this whole object.
    pub(super) fn wrong(&self, wrong: impl Into<String>, allowed: impl Into<String>) {
        let at = self.node.as_ref().map(|node| node.value.start());
        let mut mistake = self.document.mistake(at, &self.path, wrong);
        mistake.allowed = allowed.into();
        self.document.report(mistake);
    }

    fn properties(&self, key: &Key) -> Vec<(&'d str, Node<'d>)> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let Some(object) = node.object() else {
            wrong_type(&node, &key.kind);
            return Vec::new();
        };
        object.properties.iter().map(|property| (property.name.as_str(), node.below(property))).collect()
    }

    fn report_unknown(&self, keys: &[&'static [Key]]) {
        let Some(node) = &self.node else { return };
        let Some(object) = node.object() else {
            let known = names(keys);
            node.wrong(
                format!("is {}", node.type_name()),
                format!("allowed is an object with the keys {known}"),
            );
            return;
        };
        for property in &object.properties {
            if !keys.iter().copied().flatten().any(|key| key.name == property.name.as_str()) {
                self.report_unknown_key(property, keys);
            }
        }
    }

    fn report_unknown_key(&self, property: &ObjectProp<'_>, keys: &[&'static [Key]]) {
        let name = property.name.as_str();
        let path = join(&self.path, name);
        let mut mistake = self.document.mistake(Some(property.name.start()), &path, "unknown key");
        let elsewhere = elsewhere(name);
        if let Some(place) = elsewhere {
            mistake.allowed = format!("a key of this name belongs to {place}");
        } else if let Some(near) = nearest(name, keys.iter().copied().flatten().map(|key| key.name)) {
            mistake.nearest = Some(near.to_string());
        } else {
            mistake.allowed = format!("the keys known here are {}", names(keys));
        }
        self.document.report(mistake);
    }
}

fn names(keys: &[&'static [Key]]) -> String {
    keys.iter().copied().flatten().map(|key| key.name).collect::<Vec<_>>().join(", ")
}

/// Where a key of this name would be right, in words.
fn elsewhere(name: &str) -> Option<String> {
    [("ws.json", keys::WS), ("lapps.json", keys::LAPPS)].into_iter().find_map(|(file, keys)| {
        let (path, _) = keys::paths(keys).into_iter().find(|(_, key)| key.name == name)?;
        Some(format!("{file}: {path}"))
    })
}

fn written(key: &Key) -> &'static str {
    match key.default {
        Fallback::Written(text) => text,
        Fallback::Computed(_) | Fallback::Absent(_) | Fallback::Required(_) => "",
    }
}

fn string<'d>(node: &Node<'d>) -> Option<&'d str> {
    node.value.as_string_lit().map(|literal| literal.value.as_ref())
}

/// A JSON number as a whole number: also `1e3` and `10.0`, which some programs write.
fn whole_number(text: &str) -> Option<u64> {
    const EXACT: f64 = (1u64 << 53) as f64;
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        (number.fract() == 0.0 && (0.0..=EXACT).contains(&number)).then_some(number as u64)
    })
}

/// What may be written, as the end of a mistake.
pub(super) fn allowed(kind: &Kind) -> String {
    format!("allowed is {}", kind.allowed())
}

fn wrong_type(node: &Node<'_>, kind: &Kind) {
    let bare = string(node).map(str::trim).filter(|text| match kind {
        Kind::Flag => matches!(*text, "true" | "false"),
        Kind::Integer { .. } | Kind::Numbers(_) | Kind::Positive { .. } => text.parse::<f64>().is_ok(),
        _ => false,
    });
    let wrong = match bare {
        Some(bare) => format!("is a string; write {bare} without the quotes"),
        None => format!("is {}", node.type_name()),
    };
    node.wrong(wrong, allowed(kind));
}
