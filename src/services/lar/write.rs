//! Writing an archive.

use std::io::{self, Read, Write};

use bzip2::Compression;
use bzip2::read::BzEncoder;
use sha2::{Digest, Sha256};

use super::paths::Paths;
use super::{HEADER, ITEM, LarError, Limits, MAGIC, PERMISSIONS, PREFIX, VERSION};

/// The bytes of an archive of these files, each with path, mode and content, in this order.
///
/// # Errors
/// A path cannot be in an archive, `ROOT/ROOT.json` is not there, or something is more than a reader takes by default.
pub fn write<'f>(files: impl IntoIterator<Item = (&'f str, u32, &'f [u8])>) -> Result<Vec<u8>, LarError> {
    let limits = Limits::default();
    let (mut paths, mut count, mut total) = (Paths::default(), 0_u32, 0_u64);
    let (mut table, mut blobs, mut sum) = (Vec::new(), Vec::new(), Sha256::new());
    for (path, mode, content) in files {
        let place = || format!("'{}'", path.escape_debug());
        paths.add(path).map_err(|what| LarError::new(place(), what))?;
        let sha256 = Sha256::digest(content);
        let blob = pack(content).map_err(|error| LarError::new(place(), error.to_string()))?;
        sum.update(sha256);
        count += 1;
        total += content.len() as u64;
        if path.len() > limits.path as usize {
            return Err(LarError::new(place(), format!("at most {} bytes of path are allowed", limits.path)));
        }
        if count > limits.items || total > limits.total {
            let (items, total) = (limits.items, limits.total);
            return Err(LarError::new(
                place(),
                format!("at most {items} files with {total} bytes are allowed"),
            ));
        }
        table.reserve(ITEM + path.len());
        table.extend_from_slice(&(content.len() as u64).to_le_bytes());
        table.extend_from_slice(&(blob.len() as u64).to_le_bytes());
        table.extend_from_slice(&(path.len() as u32).to_le_bytes());
        table.extend_from_slice(&(mode & PERMISSIONS).to_le_bytes());
        table.extend_from_slice(&sha256);
        table.extend_from_slice(path.as_bytes());
        blobs.extend_from_slice(&blob);
    }
    paths.finish().map_err(|what| LarError::new("archive", what))?;
    let blob = pack(&table).map_err(|error| LarError::new("table", error.to_string()))?;
    let mut archive = Vec::with_capacity(HEADER + blob.len() + blobs.len());
    archive.extend_from_slice(MAGIC);
    archive.push(VERSION);
    archive.extend_from_slice(&(table.len() as u32).to_le_bytes());
    archive.extend_from_slice(&(blob.len() as u32).to_le_bytes());
    archive.extend_from_slice(&count.to_le_bytes());
    archive.extend_from_slice(&sum.finalize());
    archive.extend_from_slice(&blob);
    archive.extend_from_slice(&blobs);
    if archive.len() as u64 > limits.archive {
        let told = format!("it has {} bytes; at most {} are allowed", archive.len(), limits.archive);
        return Err(LarError::new("archive", told));
    }
    Ok(archive)
}

/// A blob of these bytes, of which there are fewer than 2^32.
fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut blob = Vec::with_capacity(PREFIX + bytes.len() / 2);
    blob.write_all(&(bytes.len() as u32).to_le_bytes())?;
    BzEncoder::new(bytes, Compression::best()).read_to_end(&mut blob)?;
    Ok(blob)
}
