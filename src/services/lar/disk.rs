//! Archives and directories: packing one, unpacking into one.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Archive, LarError, Limits, write};

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The archive.
    pub bytes: Vec<u8>,
    /// The name of the service.
    pub root: String,
    /// How many files it has.
    pub files: usize,
}

/// Packs all files below `directory`, whose name becomes the root.
///
/// # Errors
/// Something in it cannot be read or be in an archive: a link, a socket, a name that is not UTF-8; or `NAME.json` is not
/// there.
pub fn pack(directory: &Path) -> Result<Packed, LarError> {
    let wrong = |path: &Path, what: String| LarError::new(path.display().to_string(), what);
    let full = fs::canonicalize(directory).map_err(|error| wrong(directory, error.to_string()))?;
    if !full.is_dir() {
        return Err(wrong(directory, "is no directory".into()));
    }
    let root = full.file_name().and_then(OsStr::to_str);
    let root = root.ok_or_else(|| wrong(directory, "has no name that an archive can have".into()))?;
    let mut found = Vec::new();
    walk(&full, root, &mut found)?;
    found.sort();
    let mut files = Vec::with_capacity(found.len());
    let mut left = Limits::default().total;
    for (name, path) in found {
        let file = File::open(&path).map_err(|error| wrong(&path, error.to_string()))?;
        let mode = file.metadata().map_err(|error| wrong(&path, error.to_string()))?.permissions().mode();
        let mut content = Vec::new();
        file.take(left + 1).read_to_end(&mut content).map_err(|error| wrong(&path, error.to_string()))?;
        let rest = left.checked_sub(content.len() as u64);
        left =
            rest.ok_or_else(|| wrong(&path, "with it there are more bytes than an archive may have".into()))?;
        files.push((name, mode, content));
    }
    let bytes = write(files.iter().map(|(name, mode, content)| (name.as_str(), *mode, content.as_slice())))?;
    Ok(Packed { bytes, root: root.to_owned(), files: files.len() })
}

/// All files below a directory, with their names in the archive.
fn walk(directory: &Path, name: &str, found: &mut Vec<(String, PathBuf)>) -> Result<(), LarError> {
    let wrong = |path: &Path, what: String| LarError::new(path.display().to_string(), what);
    let entries = fs::read_dir(directory).map_err(|error| wrong(directory, error.to_string()))?;
    for entry in entries {
        let entry = entry.map_err(|error| wrong(directory, error.to_string()))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| wrong(&path, error.to_string()))?;
        let own =
            entry.file_name().into_string().map_err(|_| wrong(&path, "its name is not UTF-8".into()))?;
        let name = format!("{name}/{own}");
        if kind.is_dir() {
            walk(&path, &name, found)?;
        } else if kind.is_file() {
            found.push((name, path));
        } else {
            return Err(wrong(
                &path,
                "is neither a file nor a directory; an archive has nothing else".into(),
            ));
        }
    }
    Ok(())
}

/// Reads a whole archive into memory, unless it is too large.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, LarError> {
    let wrong = |what: String| LarError::new(path.display().to_string(), what);
    // Not for ever, if somebody put a pipe here.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut options = OpenOptions::new();
    let file =
        options.read(true).custom_flags(nonblocking).open(path).map_err(|error| wrong(error.to_string()))?;
    if !file.metadata().map_err(|error| wrong(error.to_string()))?.is_file() {
        return Err(wrong("is no regular file".into()));
    }
    let mut bytes = Vec::new();
    // Not what the metadata says: it may still grow.
    file.take(limits.archive + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > limits.archive {
        return Err(wrong(format!("has more than {} bytes", limits.archive)));
    }
    Ok(bytes)
}

/// Unpacks the files of an archive below `directory`, which is there; its root is made, and must not be there yet. After
/// an error a part of the files may be there.
///
/// # Errors
/// A file is not what the table says, or cannot be written.
pub fn unpack(archive: &Archive<'_>, directory: &Path) -> Result<(), LarError> {
    let failed = |path: &Path, error: io::Error| LarError::new(path.display().to_string(), error.to_string());
    let root = directory.join(archive.root());
    fs::create_dir(&root).map_err(|error| failed(&root, error))?;
    for item in archive.items() {
        let path = directory.join(&item.path);
        let parent = path.parent().unwrap_or(&root);
        fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        // The directory is ours and fresh, so nothing can be in the place of the file.
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).open(&path).map_err(|error| failed(&path, error))?;
        archive.unpack(item, &mut file)?;
        let permissions = fs::Permissions::from_mode(item.mode);
        // The archive may be removed after this.
        let kept = file.set_permissions(permissions).and_then(|()| file.sync_all());
        kept.map_err(|error| failed(&path, error))?;
    }
    Ok(())
}
