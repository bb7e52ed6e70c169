//! Reading an archive: nothing in it is believed.

use std::io::{self, Write};
use std::ops::Range;

use bzip2::{Decompress, Status};
use sha2::{Digest, Sha256};

use super::paths::Paths;
use super::{HEADER, ITEM, Item, LarError, Limits, MAGIC, PERMISSIONS, PREFIX, REGULAR, VERSION};

/// Bytes that are unpacked at a time.
const CHUNK: usize = 64 * 1024;

/// An archive whose header, table and layout are right. Its files are checked when they are unpacked.
#[derive(Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    root: String,
    items: Vec<Item>,
}

impl<'a> Archive<'a> {
    /// Reads the header and the table of an archive, which is all of `bytes`.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn open(bytes: &'a [u8], limits: &Limits) -> Result<Archive<'a>, LarError> {
        let header = Header::read(bytes, limits)?;
        let mut table = Vec::new();
        let end = Blob { bytes, at: HEADER, place: "table" }.unpack(u64::from(header.table), &mut table)?;
        // The size of the blob, as some count it: without the size that stands in it.
        let uncounted = match end - HEADER {
            blob if blob == header.blob => 0,
            blob if blob - PREFIX == header.blob => PREFIX,
            blob => {
                let told = format!("the table takes {blob} bytes, and {} are announced", header.blob);
                return Err(LarError::new("header", told));
            }
        };
        let reader = TableReader { table: &table, limits, at: end, uncounted, total: 0 };
        let items = reader.read(header.items, bytes.len())?;
        let mut sum = Sha256::new();
        items.iter().for_each(|item| sum.update(item.sha256));
        if sum.finalize()[..] != header.sha256 {
            return Err(LarError::new("header", "the SHA-256 is not that of the files"));
        }
        let mut paths = Paths::default();
        for (nth, item) in items.iter().enumerate() {
            paths.add(&item.path).map_err(|what| LarError::new(place(nth, &item.path), what))?;
        }
        let root = paths.finish().map_err(|what| LarError::new("archive", what))?;
        Ok(Archive { bytes, root, items })
    }

    /// The directory in which all files lie: the name of the service.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The files in the order of the archive.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Unpacks one file of this archive. After an error `out` has a part of it.
    ///
    /// # Errors
    /// The file is not what the table says, or it cannot be written.
    pub fn unpack(&self, item: &Item, out: &mut dyn Write) -> Result<(), LarError> {
        let place = format!("'{}'", item.path);
        let mut sum = Summing { sum: Sha256::new(), out };
        // Its blob cannot reach into the next one.
        let blob = Blob { bytes: &self.bytes[..item.blob.end], at: item.blob.start, place: &place };
        let end = blob.unpack(item.size, &mut sum)?;
        if end != item.blob.end {
            let told = format!("{} bytes lie between its end and the next file", item.blob.end - end);
            return Err(LarError::new(place, told));
        }
        if sum.sum.finalize()[..] != item.sha256 {
            return Err(LarError::new(place, "its SHA-256 is not the one in the table"));
        }
        Ok(())
    }
}

struct Header {
    table: u32,
    blob: usize,
    items: u32,
    sha256: [u8; 32],
}

impl Header {
    fn read(bytes: &[u8], limits: &Limits) -> Result<Header, LarError> {
        let wrong = |what: String| Err(LarError::new("header", what));
        if bytes.len() as u64 > limits.archive {
            return wrong(format!(
                "the archive has {} bytes; at most {} are allowed",
                bytes.len(),
                limits.archive
            ));
        }
        if bytes.len() < MAGIC.len() || bytes[..3] != MAGIC[..] {
            return wrong("this is no archive of a service: it does not begin with LAR".into());
        }
        if bytes.len() < HEADER {
            return wrong(format!("it is cut: {} bytes of {HEADER}", bytes.len()));
        }
        if bytes[3] != VERSION {
            return wrong(format!("version {} of the format is not known; {VERSION} is", bytes[3]));
        }
        let header = Header {
            table: u32_at(bytes, 4),
            blob: u32_at(bytes, 8) as usize,
            items: u32_at(bytes, 12),
            sha256: array_at(bytes, 16),
        };
        if header.items > limits.items {
            return wrong(format!("{} files; at most {} are allowed", header.items, limits.items));
        }
        if u64::from(header.table) > limits.table() {
            return wrong(format!(
                "a table of {} bytes; at most {} are allowed",
                header.table,
                limits.table()
            ));
        }
        Ok(header)
    }
}

/// Reads the items, and lays out their blobs behind the table.
struct TableReader<'t> {
    table: &'t [u8],
    limits: &'t Limits,
    /// Where the next blob begins in the archive.
    at: usize,
    /// Bytes of a blob that its size does not count.
    uncounted: usize,
    /// Bytes of all files so far.
    total: u64,
}

impl TableReader<'_> {
    fn read(mut self, count: u32, archive: usize) -> Result<Vec<Item>, LarError> {
        let mut items = Vec::new();
        let mut rest = self.table;
        for nth in 0..count as usize {
            let item = self.item(nth, &mut rest, archive)?;
            items.push(item);
        }
        if !rest.is_empty() {
            return Err(LarError::new("table", format!("{} bytes follow the last item", rest.len())));
        }
        if self.at != archive {
            return Err(LarError::new(
                "archive",
                format!("{} bytes follow the last file", archive - self.at),
            ));
        }
        Ok(items)
    }

    fn item(&mut self, nth: usize, rest: &mut &[u8], archive: usize) -> Result<Item, LarError> {
        let wrong = |what: &str| LarError::new(format!("item {} of the table", nth + 1), what);
        let (fixed, behind) = rest.split_at_checked(ITEM).ok_or_else(|| wrong("it is cut"))?;
        let (size, stored) = (u64_at(fixed, 0), u64_at(fixed, 8));
        let (length, mode) = (u32_at(fixed, 16), u32_at(fixed, 20));
        if length > self.limits.path {
            return Err(wrong(&format!(
                "a path of {length} bytes; at most {} are allowed",
                self.limits.path
            )));
        }
        let (path, behind) =
            behind.split_at_checked(length as usize).ok_or_else(|| wrong("its path is cut"))?;
        *rest = behind;
        let path = std::str::from_utf8(path).map_err(|_| wrong("its path is not UTF-8"))?.to_owned();
        let wrong = |what: String| LarError::new(place(nth, &path), what);
        if mode & !(PERMISSIONS | REGULAR) != 0 {
            return Err(wrong(format!(
                "its mode is 0{mode:o}; a regular file with the permissions 0777 at most is allowed"
            )));
        }
        self.total = self.total.saturating_add(size);
        if self.total > self.limits.total {
            let most = self.limits.total;
            return Err(wrong(format!(
                "with it the files have {} bytes; at most {most} are allowed",
                self.total
            )));
        }
        let blob = self
            .blob(stored, archive)
            .ok_or_else(|| wrong("it reaches beyond the end of the archive".into()))?;
        Ok(Item { path, mode: mode & PERMISSIONS, size, sha256: array_at(fixed, 24), blob })
    }

    fn blob(&mut self, stored: u64, archive: usize) -> Option<Range<usize>> {
        let end = usize::try_from(stored).ok()?.checked_add(self.uncounted)?.checked_add(self.at)?;
        let blob = self.at..end;
        self.at = end;
        (end <= archive).then_some(blob)
    }
}

/// A size and a bzip2 stream, which begin at `at`.
struct Blob<'b> {
    bytes: &'b [u8],
    at: usize,
    place: &'b str,
}

impl Blob<'_> {
    /// Unpacks exactly `size` bytes, and tells where the blob ends.
    fn unpack(&self, size: u64, out: &mut dyn Write) -> Result<usize, LarError> {
        let wrong = |what: String| LarError::new(self.place, what);
        let stream = self.at + PREFIX;
        if stream > self.bytes.len() {
            return Err(wrong("it is cut".into()));
        }
        let told = u32_at(self.bytes, self.at);
        if u64::from(told) != size {
            return Err(wrong(format!("it says that it has {told} bytes, and {size} are announced")));
        }
        let mut unpacker = Decompress::new(false);
        let mut chunk = vec![0; CHUNK.min(size as usize + 1)];
        let mut done = 0;
        loop {
            let (eaten, made) = (unpacker.total_in(), unpacker.total_out());
            let rest = &self.bytes[stream + eaten as usize..];
            let status = unpacker.decompress(rest, &mut chunk);
            let status = status.map_err(|error| wrong(format!("its bzip2 stream is damaged: {error}")))?;
            let new = (unpacker.total_out() - made) as usize;
            done += new as u64;
            if done > size {
                return Err(wrong(format!("it has more than the {size} bytes that are announced")));
            }
            out.write_all(&chunk[..new]).map_err(|error| wrong(error.to_string()))?;
            match status {
                Status::StreamEnd if done < size => {
                    return Err(wrong(format!("it has {done} bytes, and {size} are announced")));
                }
                Status::StreamEnd => return Ok(stream + unpacker.total_in() as usize),
                _ if new == 0 && unpacker.total_in() == eaten => {
                    return Err(wrong("its bzip2 stream is cut".into()));
                }
                _ => {}
            }
        }
    }
}

/// Passes on what is written, and sums it up.
struct Summing<'o> {
    sum: Sha256,
    out: &'o mut dyn Write,
}

impl Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// An item in words; its path may hold anything.
fn place(nth: usize, path: &str) -> String {
    format!("item {} of the table, '{}'", nth + 1, path.escape_debug())
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}
