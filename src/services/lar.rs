//! Archives of services (`NAME.lar`): the format, and what all parts of reading and writing share.
//!
//! All numbers are little endian. A *blob* is a u32, the size of what is packed in it, and a bzip2 stream.
//!
//! | part | bytes |
//! |---|---|
//! | header, 48 bytes | `LAR`, u8 version (1), u32 size of the table, u32 size of its blob, u32 number of items, 32 bytes SHA-256 over the SHA-256 of all files, one after the other |
//! | table, a blob | for each item: u64 size of the file, u64 size of its blob, u32 length of the path, u32 mode, 32 bytes SHA-256 of the file, the path |
//! | files | a blob for each item, in the order of the table |
//!
//! A path has the parts `ROOT/.../FILE`, and all have the same root.

mod disk;
mod paths;
mod read;
mod write;

use std::fmt;

pub use disk::{Packed, pack, read_file, unpack};
pub use read::Archive;
pub use write::write;

/// How the names of archives end.
pub const EXTENSION: &str = "lar";

const MAGIC: &[u8; 3] = b"LAR";
const VERSION: u8 = 1;
const HEADER: usize = 48;
/// An item of the table without its path.
const ITEM: usize = 56;
/// The size that stands before the stream of a blob.
const PREFIX: usize = 4;
/// The bits of a mode that a file may have: read, write and execute.
const PERMISSIONS: u32 = 0o777;
/// What some writers put above them: a regular file.
const REGULAR: u32 = 0o100_000;

/// What an archive may have at most. What is more is refused before memory is taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive itself.
    pub archive: u64,
    /// Bytes of all its files together.
    pub total: u64,
    /// Number of files.
    pub items: u32,
    /// Bytes of one path.
    pub path: u32,
}

impl Default for Limits {
    /// 256 MiB, unpacked 1 GiB in 20,000 files with paths of 1,024 bytes.
    fn default() -> Limits {
        Limits { archive: 256 << 20, total: 1 << 30, items: 20_000, path: 1024 }
    }
}

impl Limits {
    /// Bytes of the table.
    fn table(&self) -> u64 {
        u64::from(self.items) * (ITEM as u64 + u64::from(self.path))
    }
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its path, which begins with the root.
    pub path: String,
    /// Its permissions, nine bits.
    pub mode: u32,
    /// Its size in bytes.
    pub size: u64,
    sha256: [u8; 32],
    /// Where its blob lies in the archive.
    blob: std::ops::Range<usize>,
}

/// What is wrong with an archive, or with what is to be one, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LarError {
    place: String,
    what: String,
}

impl LarError {
    fn new(place: impl Into<String>, what: impl Into<String>) -> LarError {
        LarError { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for LarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for LarError {}
