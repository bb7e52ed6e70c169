//! Archives that are put together by hand, byte by byte, so that any part of them can be wrong.

use std::io::Read;

use bzip2::Compression;
use bzip2::read::BzEncoder;
use lapps::services::lar::{Archive, LarError, Limits};
use sha2::{Digest, Sha256};

/// One file, and what the table says of it.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) path: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) sha256: Vec<u8>,
    /// The size in front of its stream.
    pub(crate) told: u32,
    /// Added to the size of the blob in the table.
    pub(crate) off: i64,
}

/// An archive before it is bytes.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) files: Vec<File>,
    pub(crate) version: u8,
    pub(crate) count: u32,
    pub(crate) table: Option<u32>,
    pub(crate) table_blob_off: i64,
    pub(crate) sha256: Option<Vec<u8>>,
    /// Put behind the table, inside of it.
    pub(crate) table_tail: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

impl File {
    pub(crate) fn new(path: &str, content: &[u8]) -> File {
        File {
            path: path.into(),
            mode: 0o644,
            content: content.into(),
            size: content.len() as u64,
            sha256: Sha256::digest(content).to_vec(),
            told: content.len() as u32,
            off: 0,
        }
    }
}

impl Model {
    pub(crate) fn new(files: &[(&str, &str)]) -> Model {
        let files: Vec<File> =
            files.iter().map(|(path, content)| File::new(path, content.as_bytes())).collect();
        Model {
            count: files.len() as u32,
            files,
            version: 1,
            table: None,
            table_blob_off: 0,
            sha256: None,
            table_tail: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// A service of two files.
    pub(crate) fn hello() -> Model {
        Model::new(&[("hello/hello.json", "{\"name\": \"hello\"}"), ("hello/hello.lua", "return {}")])
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (mut table, mut blobs, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        for file in &self.files {
            let blob = blob(file.told, &file.content);
            table.extend_from_slice(&file.size.to_le_bytes());
            table.extend_from_slice(&(blob.len() as u64).wrapping_add_signed(file.off).to_le_bytes());
            table.extend_from_slice(&(file.path.len() as u32).to_le_bytes());
            table.extend_from_slice(&file.mode.to_le_bytes());
            table.extend_from_slice(&file.sha256);
            table.extend_from_slice(&file.path);
            blobs.extend_from_slice(&blob);
            sums.extend_from_slice(&file.sha256);
        }
        table.extend_from_slice(&self.table_tail);
        let size = self.table.unwrap_or(table.len() as u32);
        let table = blob(size, &table);
        let mut bytes = b"LAR".to_vec();
        bytes.push(self.version);
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&(table.len() as i64 + self.table_blob_off).to_le_bytes()[..4]);
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.sha256.clone().unwrap_or_else(|| Sha256::digest(&sums).to_vec()));
        bytes.extend_from_slice(&table);
        bytes.extend_from_slice(&blobs);
        bytes.extend_from_slice(&self.tail);
        bytes
    }
}

fn blob(told: u32, content: &[u8]) -> Vec<u8> {
    let mut blob = told.to_le_bytes().to_vec();
    BzEncoder::new(content, Compression::best()).read_to_end(&mut blob).unwrap();
    blob
}

/// Reads an archive and all its files.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<(String, u32, Vec<u8>)>, LarError> {
    let archive = Archive::open(bytes, limits)?;
    archive
        .items()
        .iter()
        .map(|item| {
            let mut content = Vec::new();
            archive.unpack(item, &mut content)?;
            Ok((item.path.clone(), item.mode, content))
        })
        .collect()
}
