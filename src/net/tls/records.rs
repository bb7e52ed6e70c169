//! Records under one key: sealed and opened from one buffer into another (RFC 8446 section 5, RFC 5246 section 6.2).

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{ConnectionTrafficSecrets, Error, InvalidMessage, PeerMisbehaved, ProtocolVersion};

/// Content types (RFC 8446 section 5.1).
pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

/// Bytes of the header of a record: type, version, length.
pub(super) const HEADER: usize = 5;

/// Bytes of plaintext that a record holds at most.
pub(super) const LARGEST_PLAINTEXT: usize = 16 * 1024;

/// Bytes that the body of a record may have beyond its plaintext: TLS 1.2 allows the most of them.
const LARGEST_EXPANSION: usize = 2048;

/// Bytes of a whole record at most.
pub(crate) const LARGEST_RECORD: usize = HEADER + LARGEST_PLAINTEXT + LARGEST_EXPANSION;

const TAG: usize = 16;

/// What a record of ours has beyond its plaintext at most: TLS 1.2 shows a part of the nonce.
pub(super) const OVERHEAD: usize = HEADER + EXPLICIT_NONCE + TAG;

const EXPLICIT_NONCE: usize = 8;

/// The key of one direction, and how many records it has protected.
pub(super) struct Key {
    aead: LessSafeKey,
    iv: [u8; aead::NONCE_LEN],
    records: u64,
    construction: Construction,
}

/// How nonce, type and additional data make a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Construction {
    /// TLS 1.3: the type is encrypted too.
    Tls13,
    /// TLS 1.2 with AES-GCM: a part of the nonce stands in the record (RFC 5288 section 3).
    Tls12Explicit,
    /// TLS 1.2 with ChaCha20-Poly1305 (RFC 7905 section 2).
    Tls12,
}

/// Where a record stands that may not be whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framed {
    /// More is needed.
    Cut,
    /// It has so many bytes, with its header.
    Whole(usize),
}

/// Looks for a record at the beginning of `bytes`.
///
/// # Errors
/// It cannot be the beginning of a record.
pub(super) fn frame(bytes: &[u8]) -> Result<Framed, Error> {
    let Some(&[content, major, _, high, low]) = bytes.first_chunk() else { return Ok(Framed::Cut) };
    if !(CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&content) {
        return Err(InvalidMessage::InvalidContentType.into());
    }
    if major != 3 {
        return Err(InvalidMessage::UnknownProtocolVersion.into());
    }
    let body = usize::from(u16::from_be_bytes([high, low]));
    if body > LARGEST_RECORD - HEADER {
        return Err(InvalidMessage::MessageTooLarge.into());
    }
    Ok(if bytes.len() < HEADER + body { Framed::Cut } else { Framed::Whole(HEADER + body) })
}

impl Key {
    /// A key that has protected `records` records already.
    ///
    /// # Errors
    /// The secrets are of a kind that we do not know.
    pub(super) fn new(
        (records, secrets): (u64, ConnectionTrafficSecrets),
        version: ProtocolVersion,
    ) -> Result<Key, Error> {
        let (algorithm, key, iv) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&aead::CHACHA20_POLY1305, key, iv),
            _ => return Err(Error::General("a cipher suite of an unknown kind".into())),
        };
        let construction = match (version, &secrets) {
            (ProtocolVersion::TLSv1_3, _) => Construction::Tls13,
            (_, ConnectionTrafficSecrets::Chacha20Poly1305 { .. }) => Construction::Tls12,
            _ => Construction::Tls12Explicit,
        };
        let unusable = |_| Error::General("a key of the wrong length".into());
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(unusable)?;
        let iv = iv.as_ref().try_into().map_err(|_| Error::General("a nonce of the wrong length".into()))?;
        Ok(Key { aead: LessSafeKey::new(key), iv, records, construction })
    }

    /// Records that were protected with it.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Decrypts the whole record `record` to the beginning of `plain`, which has room for all of its body. Answers its type
    /// and how many bytes it holds; what is behind them in `plain` is overwritten, too.
    ///
    /// # Errors
    /// It was changed on its way, or is none that the peer may send.
    pub(super) fn open(&mut self, record: &[u8], plain: &mut [u8]) -> Result<(u8, usize), Error> {
        let (header, body) = record.split_first_chunk::<HEADER>().ok_or(Error::DecryptError)?;
        let (explicit, body) = match self.construction {
            Construction::Tls12Explicit => {
                body.split_at_checked(EXPLICIT_NONCE).ok_or(Error::DecryptError)?
            }
            Construction::Tls13 | Construction::Tls12 => (&[][..], body),
        };
        let (sealed, tag) = body.split_last_chunk::<TAG>().ok_or(Error::DecryptError)?;
        let mut nonce = self.nonce();
        if !explicit.is_empty() {
            nonce[aead::NONCE_LEN - EXPLICIT_NONCE..].copy_from_slice(explicit);
        }
        if self.construction == Construction::Tls13 && header[0] != APPLICATION_DATA {
            return Err(InvalidMessage::UnexpectedMessage("a record that is not encrypted").into());
        }
        let plain = &mut plain[..sealed.len()];
        let aad = self.additional(*header, sealed.len());
        self.aead
            .open_separate_gather(Nonce::assume_unique_for_key(nonce), aad, sealed, tag, plain)
            .map_err(|_| Error::DecryptError)?;
        self.records += 1;
        let (content, len) = match self.construction {
            // Zeroes behind the type are padding (RFC 8446 section 5.4).
            Construction::Tls13 => match plain.iter().rposition(|&byte| byte != 0) {
                Some(last) => (plain[last], last),
                None => return Err(PeerMisbehaved::IllegalTlsInnerPlaintext.into()),
            },
            Construction::Tls12Explicit | Construction::Tls12 => (header[0], plain.len()),
        };
        if len > LARGEST_PLAINTEXT { Err(Error::PeerSentOversizedRecord) } else { Ok((content, len)) }
    }

    /// Encrypts `plain` as one record of this type to the beginning of `out`, which has room for it and [`OVERHEAD`]. Answers
    /// how long it is.
    ///
    /// # Errors
    /// None for a plaintext of the size that a record holds.
    pub(super) fn seal(&mut self, content: u8, plain: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (start, end, aad, nonce) = self.begin(content, plain.len(), out);
        let (_, rest) = out.split_at_mut(start);
        let (body, extra) = rest[..end - start].split_at_mut(plain.len());
        self.aead
            .seal_out_of_place_scatter(nonce, aad, plain, body, self.hidden(&content), extra)
            .map_err(|_| Error::EncryptError)?;
        self.records += 1;
        Ok(end)
    }

    /// Like [`Key::seal`], of `len` bytes that stand in `out` already, from [`Key::start`] on.
    ///
    /// # Errors
    /// As for [`Key::seal`].
    pub(super) fn seal_in_place(&mut self, content: u8, len: usize, out: &mut [u8]) -> Result<usize, Error> {
        let (start, end, aad, nonce) = self.begin(content, len, out);
        let (body, extra) = out[start..end].split_at_mut(len);
        self.aead
            .seal_in_place_scatter(nonce, aad, body, self.hidden(&content), extra)
            .map_err(|_| Error::EncryptError)?;
        self.records += 1;
        Ok(end)
    }

    /// Where the plaintext of a record begins.
    pub(super) fn start(&self) -> usize {
        match self.construction {
            Construction::Tls12Explicit => HEADER + EXPLICIT_NONCE,
            Construction::Tls13 | Construction::Tls12 => HEADER,
        }
    }

    /// Writes what comes before the ciphertext. Answers where that begins and where the record ends.
    fn begin(&self, content: u8, len: usize, out: &mut [u8]) -> (usize, usize, Aad<Additional>, Nonce) {
        let start = self.start();
        let end = start + len + self.hidden(&content).len() + TAG;
        let outer = if self.construction == Construction::Tls13 { APPLICATION_DATA } else { content };
        let [high, low] = ((end - HEADER) as u16).to_be_bytes();
        // Also TLS 1.3 says 1.2 here (RFC 8446 section 5.2).
        let header = [outer, 3, 3, high, low];
        out[..HEADER].copy_from_slice(&header);
        let nonce = self.nonce();
        let explicit = start - HEADER;
        out[HEADER..start].copy_from_slice(&nonce[aead::NONCE_LEN - explicit..]);
        (start, end, self.additional(header, len), Nonce::assume_unique_for_key(nonce))
    }

    /// The plaintext behind the plaintext: with TLS 1.3 the type.
    fn hidden<'a>(&self, content: &'a u8) -> &'a [u8] {
        match self.construction {
            Construction::Tls13 => std::slice::from_ref(content),
            Construction::Tls12Explicit | Construction::Tls12 => &[],
        }
    }

    /// The nonce of the next record: the number of the record, exclusive-or a secret.
    fn nonce(&self) -> [u8; aead::NONCE_LEN] {
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().rev().zip(self.records.to_le_bytes()) {
            *byte ^= number;
        }
        nonce
    }

    fn additional(&self, header: [u8; HEADER], plain: usize) -> Aad<Additional> {
        let mut bytes = [0; 13];
        let len = match self.construction {
            Construction::Tls13 => {
                bytes[..HEADER].copy_from_slice(&header);
                HEADER
            }
            Construction::Tls12Explicit | Construction::Tls12 => {
                bytes[..8].copy_from_slice(&self.records.to_be_bytes());
                bytes[8..11].copy_from_slice(&header[..3]);
                bytes[11..].copy_from_slice(&(plain as u16).to_be_bytes());
                bytes.len()
            }
        };
        Aad::from(Additional { bytes, len })
    }
}

/// What is authenticated besides the plaintext.
struct Additional {
    bytes: [u8; 13],
    len: usize,
}

impl AsRef<[u8]> for Additional {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
