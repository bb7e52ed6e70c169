//! The format as somebody else reads and writes it: Python's bz2, hashlib and struct, where there is a Python.

use std::fs;
use std::path::Path;
use std::process::Command;

use lapps::services::lar::{Limits, write};

use super::model::read;

const READER: &str = r"
import bz2, hashlib, struct, sys
data = open(sys.argv[1], 'rb').read()
magic, version, size, stored, count, total = struct.unpack_from('<3sBIII32s', data)
assert magic == b'LAR' and version == 1
def blob(at, stored, size):
    assert struct.unpack_from('<I', data, at)[0] == size
    plain = bz2.decompress(data[at + 4:at + stored])
    assert len(plain) == size
    return plain
table, at, place, sums = blob(48, stored, size), 48 + stored, 0, b''
for _ in range(count):
    size, stored, length, mode, sha = struct.unpack_from('<QQII32s', table, place)
    path = table[place + 56:place + 56 + length].decode()
    place += 56 + length
    plain = blob(at, stored, size)
    at += stored
    assert hashlib.sha256(plain).digest() == sha
    sums += sha
    print('%o %s %s' % (mode, path, plain.hex()))
assert place == len(table) and at == len(data) and hashlib.sha256(sums).digest() == total
";

const WRITER: &str = r"
import bz2, hashlib, struct, sys
def blob(plain):
    return struct.pack('<I', len(plain)) + bz2.compress(plain)
table, blobs, sums, files = b'', b'', b'', [('p/p.json', 0o644, b'{}'), ('p/sub/x', 0o755, bytes(range(256)) * 50), ('p/e', 0o600, b'')]
for path, mode, plain in files:
    sha, stored = hashlib.sha256(plain).digest(), blob(plain)
    table += struct.pack('<QQII32s', len(plain), len(stored), len(path), mode, sha) + path.encode()
    blobs += stored
    sums += sha
stored = blob(table)
head = struct.pack('<3sBIII32s', b'LAR', 1, len(table), len(stored), len(files), hashlib.sha256(sums).digest())
open(sys.argv[1], 'wb').write(head + stored + blobs)
";

/// Runs a script; `None` where there is no Python.
fn python(script: &str, archive: &Path) -> Option<String> {
    let output = match Command::new("python3").args(["-c", script]).arg(archive).output() {
        Ok(output) => output,
        Err(error) => {
            println!("no python3 to compare with: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn others_read_what_we_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.lar");
    let files: [(&str, u32, &[u8]); 3] =
        [("a/a.json", 0o644, b"{}"), ("a/b/c.lua", 0o755, b"return 1"), ("a/empty", 0o600, b"")];
    fs::write(&path, write(files).unwrap()).unwrap();
    if let Some(read) = python(READER, &path) {
        assert_eq!(read, "644 a/a.json 7b7d\n755 a/b/c.lua 72657475726e2031\n600 a/empty \n");
    }
}

#[test]
fn we_read_what_others_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p.lar");
    if python(WRITER, &path).is_some() {
        let files = read(&fs::read(&path).unwrap(), &Limits::default()).unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(256 * 50).collect();
        let expected =
            [("p/p.json", 0o644, b"{}".to_vec()), ("p/sub/x", 0o755, bytes), ("p/e", 0o600, Vec::new())];
        let expected: Vec<_> =
            expected.into_iter().map(|(path, mode, content)| (path.to_owned(), mode, content)).collect();
        assert_eq!(files, expected);
    }
}
