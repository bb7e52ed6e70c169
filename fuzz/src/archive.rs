//! Archives of services: any bytes are read or refused, and what is read stays within the limits.

use std::io::{self, Write};

use bzip2::Compression;
use bzip2::write::BzEncoder;
use lapps::services::lar::{self, Archive, Limits};

const LIMITS: Limits = Limits { archive: 1 << 20, total: 1 << 20, items: 16, path: 64 };

/// Reads `data` as an archive, and as the table of one that is right as far as that is possible.
pub fn archive(data: &[u8]) {
    check(data);
    if let Ok(wrapped) = around(data) {
        check(&wrapped);
    }
}

fn check(bytes: &[u8]) {
    let archive = match Archive::open(bytes, &LIMITS) {
        Ok(archive) => archive,
        Err(error) => return assert!(!error.to_string().contains('\n')),
    };
    assert!(archive.items().len() <= LIMITS.items as usize);
    assert!(archive.items().iter().map(|item| item.size).sum::<u64>() <= LIMITS.total);
    let mut files = Vec::new();
    for item in archive.items() {
        assert!(item.path.starts_with(&format!("{}/", archive.root())) && item.mode <= 0o777);
        assert!(item.path.split('/').all(|name| !matches!(name, "" | "." | "..")));
        let mut content = Vec::new();
        match archive.unpack(item, &mut content) {
            Ok(()) => assert_eq!(content.len() as u64, item.size),
            Err(_) => return assert!(content.len() as u64 <= item.size),
        }
        files.push((item.path.as_str(), item.mode, content));
    }
    let files = || files.iter().map(|(path, mode, content)| (*path, *mode, content.as_slice()));
    let again = lar::write(files()).expect("what was read can be written");
    let again = Archive::open(&again, &LIMITS).expect("what was written can be read");
    assert!(again.items().iter().map(|item| item.path.as_str()).eq(files().map(|(path, ..)| path)));
}

/// An archive with this table: the header says of it what is so, the first byte how many items there are.
fn around(table: &[u8]) -> io::Result<Vec<u8>> {
    let (count, table) = table.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut packer = BzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(table)?;
    let packed = packer.finish()?;
    let mut bytes = b"LAR\x01".to_vec();
    bytes.extend_from_slice(&(table.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(packed.len() as u32 + 4).to_le_bytes());
    bytes.extend_from_slice(&u32::from(*count).to_le_bytes());
    bytes.extend_from_slice(&[0; 32]);
    bytes.extend_from_slice(&(table.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&packed);
    Ok(bytes)
}
