//! A self-signed certificate, so that `wss://` can be tried in a minute.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The two files that were written.
#[derive(Debug)]
pub struct Pair {
    /// `cert.pem`, for clients to trust and for `tls_certificates.cert`.
    pub certificate: PathBuf,
    /// `key.pem`, readable by its owner only.
    pub key: PathBuf,
}

/// Writes `cert.pem` and `key.pem` for localhost, 127.0.0.1 and ::1 into `directory`, which is made if need be.
///
/// # Errors
/// A file cannot be written, or is there already: a key is never overwritten.
pub fn make(directory: &Path) -> io::Result<Pair> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    // Absolute, so that the paths can be copied into a configuration.
    let directory = std::path::absolute(directory)?;
    fs::create_dir_all(&directory)?;
    let pair = Pair { certificate: directory.join("cert.pem"), key: directory.join("key.pem") };
    write_new(&pair.key, 0o600, &made.signing_key.serialize_pem())?;
    write_new(&pair.certificate, 0o644, &made.cert.pem())?;
    Ok(pair)
}

fn write_new(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_made_once_and_the_key_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let pair = make(&directory.path().join("new")).unwrap();
        assert!(fs::read_to_string(&pair.certificate).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(fs::metadata(&pair.key).unwrap().permissions().mode() & 0o777, 0o600);
        let again = make(&directory.path().join("new")).unwrap_err();
        assert!(again.to_string().contains("key.pem"), "{again}");
    }
}
