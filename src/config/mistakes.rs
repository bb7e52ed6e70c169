//! What is wrong with a configuration: every mistake of every file, each said so that it can be mended.

use std::fmt;

/// All mistakes found in one reading of the configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

/// One mistake: where it stands, what stands there, and what would be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file as it was named or found.
    pub file: String,
    /// Line, counted from 1; absent when the mistake is about the file as a whole.
    pub line: Option<usize>,
    /// Column in characters, counted from 1; given for syntax errors only.
    pub column: Option<usize>,
    /// The key with the names of all the objects around it, as in `workers.max_connections`; empty when no key is concerned.
    pub key: String,
    /// The value as it is written in the file, shortened; absent when the value is not the point.
    pub value: Option<String>,
    /// What is wrong with it.
    pub wrong: String,
    /// What is allowed instead or how it can be mended; may be empty.
    pub allowed: String,
    /// A known name that resembles the one that was written.
    pub nearest: Option<String>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            f.write_str(&self.key)?;
            if let Some(value) = &self.value {
                write!(f, " = {value}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.wrong)?;
        if !self.allowed.is_empty() {
            write!(f, "; {}", self.allowed)?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, " [did you mean \"{nearest}\"?]")?;
        }
        Ok(())
    }
}
