//! `lapps pack`, `lapps unpack` and `lapps list`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use lapps::arguments::{List, Pack, Unpack};
use lapps::services::lar::{self, Archive, EXTENSION, Limits};

pub(crate) fn pack(arguments: &Pack) -> Result<(), String> {
    let packed = lar::pack(&arguments.directory).map_err(|error| format!("cannot pack {error}"))?;
    let output = arguments.output.clone().unwrap_or_else(|| format!("{}.{EXTENSION}", packed.root).into());
    write_whole(&output, &packed.bytes)
        .map_err(|error| format!("cannot write {}: {error}", output.display()))?;
    let (files, bytes) = (packed.files, packed.bytes.len());
    println!(
        "wrote {}: {files} {}, {bytes} bytes",
        output.display(),
        if files == 1 { "file" } else { "files" }
    );
    Ok(())
}

pub(crate) fn unpack(arguments: &Unpack) -> Result<(), String> {
    let bytes = read(&arguments.file)?;
    let archive = open(&arguments.file, &bytes)?;
    let (directory, root) = (&arguments.directory, archive.root());
    let failed =
        |error: &dyn std::fmt::Display| format!("cannot unpack {}: {error}", arguments.file.display());
    let target = directory.join(root);
    if target.symlink_metadata().is_ok() {
        return Err(failed(&format!("{} is there already", target.display())));
    }
    // Beside its place, so that what is wrong in the middle leaves nothing half done.
    let aside = directory.join(format!(".{root}.{}.unpacking", std::process::id()));
    fs::create_dir(&aside).map_err(|error| failed(&format!("{}: {error}", aside.display())))?;
    let result = lar::unpack(&archive, &aside)
        .map_err(|error| failed(&error))
        .and_then(|()| fs::rename(aside.join(root), &target).map_err(|error| failed(&error)));
    let _ = fs::remove_dir_all(&aside);
    result?;
    println!("unpacked {}", target.display());
    Ok(())
}

pub(crate) fn list(arguments: &List) -> Result<(), String> {
    let bytes = read(&arguments.file)?;
    let archive = open(&arguments.file, &bytes)?;
    let width = archive.items().iter().map(|item| item.size.to_string().len()).max().unwrap_or(0);
    let mut out = io::stdout().lock();
    for item in archive.items() {
        let line = format!("{:04o} {:width$} {}\n", item.mode, item.size, item.path);
        if let Err(error) = out.write_all(line.as_bytes()) {
            // Who has read enough, such as head, is no mistake.
            return if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error.to_string()) };
        }
    }
    // Its files too: what is listed can be unpacked.
    for item in archive.items() {
        archive.unpack(item, &mut io::sink()).map_err(|error| refused(&arguments.file, &error))?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    lar::read_file(file, &Limits::default()).map_err(|error| format!("cannot read {error}"))
}

fn open<'b>(file: &Path, bytes: &'b [u8]) -> Result<Archive<'b>, String> {
    Archive::open(bytes, &Limits::default()).map_err(|error| refused(file, &error))
}

fn refused(file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{} is refused: {error}", file.display())
}

/// Writes a file so that whoever looks finds the old one or the whole new one.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let aside = path.with_file_name(format!(".{}.{}.packing", name.to_string_lossy(), std::process::id()));
    let result = fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, path));
    if result.is_err() {
        let _ = fs::remove_file(&aside);
    }
    result
}
