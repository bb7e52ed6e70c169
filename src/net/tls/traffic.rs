//! What two sides say when the handshake is done: data, alerts, new keys.

use rustls::kernel::KernelConnection;
use rustls::{
    AlertDescription, Error, ExtractedSecrets, InvalidMessage, PeerMisbehaved, ProtocolVersion,
    SupportedCipherSuite,
};

use super::records::{ALERT, APPLICATION_DATA, HANDSHAKE, Key, LARGEST_PLAINTEXT, OVERHEAD};
use super::session::Side;
use crate::net::write_queue::{Buffers, WriteQueue};

/// Records without data that a peer may send between two with data: each costs us work, and some of them an answer.
const MOST_EMPTY: u8 = 32;

/// Bytes of a handshake message that comes in pieces.
const LARGEST_MESSAGE: usize = 64 * 1024;

/// Handshake messages (RFC 8446 section 4).
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

/// Levels of alerts.
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// The keys of both directions, and what is needed to make the next ones.
pub(super) struct Traffic<S: Side> {
    reading: Key,
    pub(super) writing: Key,
    /// Makes new keys, and takes the tickets of servers.
    secrets: KernelConnection<S::Data>,
    /// Records that one key of ours may protect.
    pub(super) most_records: u64,
    /// A handshake message that was cut between records.
    message: Vec<u8>,
    /// Records without data since the last one with data.
    empty: u8,
    /// The peer wants new keys of us, too, before we send data again.
    owes_update: bool,
}

/// What a record brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// So many bytes of data.
    Data(usize),
    /// Nothing that is for others.
    Nothing,
    /// The peer will send nothing more.
    Goodbye,
}

impl<S: Side> Traffic<S> {
    /// # Errors
    /// The handshake agreed upon something that we do not know.
    pub(super) fn new(keys: ExtractedSecrets, secrets: KernelConnection<S::Data>) -> Result<Self, Error> {
        let version = secrets.protocol_version();
        Ok(Traffic {
            reading: Key::new(keys.rx, version)?,
            writing: Key::new(keys.tx, version)?,
            most_records: match secrets.negotiated_cipher_suite() {
                SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
                SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit,
            },
            secrets,
            message: Vec::new(),
            empty: 0,
            owes_update: false,
        })
    }

    /// Decrypts one whole record to the beginning of `plain`, which has room for its body. What has to be answered is put
    /// behind `reply`.
    ///
    /// # Errors
    /// The connection must end; [`Traffic::last_words`] says why.
    pub(super) fn open(
        &mut self,
        record: &[u8],
        plain: &mut [u8],
        reply: &mut Vec<u8>,
    ) -> Result<Said, Error> {
        let (content, len) = self.reading.open(record, plain)?;
        if content != HANDSHAKE && !self.message.is_empty() {
            return Err(PeerMisbehaved::MessageInterleavedWithHandshakeMessage.into());
        }
        match content {
            APPLICATION_DATA if len > 0 => {
                self.empty = 0;
                return Ok(Said::Data(len));
            }
            APPLICATION_DATA => self.count(PeerMisbehaved::TooManyEmptyFragments)?,
            ALERT => return self.on_alert(&plain[..len]),
            HANDSHAKE if self.is_tls13() => self.on_handshake(&plain[..len])?,
            // RFC 5246 section 7.2.2: the answer to a wish for a new handshake.
            HANDSHAKE => {
                self.count(PeerMisbehaved::TooManyRenegotiationRequests)?;
                self.say(ALERT, &[WARNING, AlertDescription::NoRenegotiation.into()], reply)?;
            }
            _ => return Err(InvalidMessage::UnexpectedMessage("a record of another type").into()),
        }
        Ok(Said::Nothing)
    }

    /// Encrypts as much of `queue` as `out` has room for, in as few records as possible. Answers how long they are together.
    /// `out` has room for a record of the largest size and twice [`OVERHEAD`].
    ///
    /// # Errors
    /// The key is used up, and this version of TLS makes no others.
    pub(super) fn seal(
        &mut self,
        queue: &mut WriteQueue,
        buffers: &mut Buffers,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let mut filled = 0;
        while !queue.is_empty() {
            let len = queue.len().min(LARGEST_PLAINTEXT);
            if filled > 0 && out.len() - filled < len + 3 * OVERHEAD {
                break;
            }
            // The last record of a key is the one that says so.
            if self.owes_update || self.writing.records() + 1 >= self.most_records {
                filled += self.renew(&mut out[filled..])?;
            }
            let front = queue.front();
            if front.len() >= len {
                filled += self.writing.seal(APPLICATION_DATA, &front[..len], &mut out[filled..])?;
                queue.consume(len, buffers);
                continue;
            }
            let start = filled + self.writing.start();
            let mut gathered = 0;
            while gathered < len {
                let front = queue.front();
                let piece = front.len().min(len - gathered);
                out[start + gathered..][..piece].copy_from_slice(&front[..piece]);
                queue.consume(piece, buffers);
                gathered += piece;
            }
            filled += self.writing.seal_in_place(APPLICATION_DATA, len, &mut out[filled..])?;
        }
        Ok(filled)
    }

    /// Puts what tells the peer about `error` behind `reply`: nothing if it was the peer who told.
    pub(super) fn last_words(&mut self, error: &Error, reply: &mut Vec<u8>) {
        let alert = match error {
            Error::AlertReceived(_) => return,
            Error::DecryptError => AlertDescription::BadRecordMac,
            Error::PeerSentOversizedRecord | Error::InvalidMessage(InvalidMessage::MessageTooLarge) => {
                AlertDescription::RecordOverflow
            }
            Error::InvalidMessage(InvalidMessage::UnexpectedMessage(_)) | Error::PeerMisbehaved(_) => {
                AlertDescription::UnexpectedMessage
            }
            Error::InvalidMessage(_) => AlertDescription::DecodeError,
            _ => AlertDescription::InternalError,
        };
        // A peer whose connection fails anyway misses one word at most.
        let _ = self.say(ALERT, &[FATAL, alert.into()], reply);
    }

    /// Puts our end of the stream behind `reply`.
    pub(super) fn goodbye(&mut self, reply: &mut Vec<u8>) {
        let _ = self.say(ALERT, &[WARNING, AlertDescription::CloseNotify.into()], reply);
    }

    fn is_tls13(&self) -> bool {
        self.secrets.protocol_version() == ProtocolVersion::TLSv1_3
    }

    fn on_alert(&mut self, alert: &[u8]) -> Result<Said, Error> {
        let &[level, description] = alert else { return Err(InvalidMessage::MessageTooShort.into()) };
        match AlertDescription::from(description) {
            AlertDescription::CloseNotify => Ok(Said::Goodbye),
            // RFC 8446 section 6: only these two are no errors, whatever their level is.
            description
                if level != WARNING || (self.is_tls13() && description != AlertDescription::UserCanceled) =>
            {
                Err(Error::AlertReceived(description))
            }
            _ => {
                self.count(PeerMisbehaved::TooManyWarningAlertsReceived)?;
                Ok(Said::Nothing)
            }
        }
    }

    fn on_handshake(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Err(InvalidMessage::InvalidEmptyPayload.into());
        }
        self.count(PeerMisbehaved::TooManyKeyUpdateRequests)?;
        let mut message = std::mem::take(&mut self.message);
        message.extend_from_slice(bytes);
        let mut rest = &message[..];
        while let Some((&[kind, len @ ..], body)) = rest.split_first_chunk::<4>() {
            let len = len.iter().fold(0, |len, &byte| len << 8 | usize::from(byte));
            if len > LARGEST_MESSAGE {
                return Err(InvalidMessage::HandshakePayloadTooLarge.into());
            }
            let Some((body, behind)) = body.split_at_checked(len) else { break };
            rest = behind;
            match kind {
                KEY_UPDATE if !rest.is_empty() => {
                    return Err(PeerMisbehaved::KeyEpochWithPendingFragment.into());
                }
                KEY_UPDATE => self.on_key_update(body)?,
                NEW_SESSION_TICKET => S::take_ticket(&mut self.secrets, body)?,
                _ => return Err(InvalidMessage::UnexpectedMessage("a message of the handshake").into()),
            }
        }
        self.message = rest.to_vec();
        Ok(())
    }

    /// RFC 8446 section 4.6.3.
    fn on_key_update(&mut self, body: &[u8]) -> Result<(), Error> {
        match body {
            [0] => {}
            [1] => self.owes_update = true,
            _ => return Err(InvalidMessage::InvalidKeyUpdate.into()),
        }
        self.reading = Key::new(self.secrets.update_rx_secret()?, ProtocolVersion::TLSv1_3)?;
        Ok(())
    }

    /// Says that a new key comes, and takes it.
    fn renew(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        if !self.is_tls13() {
            return Err(Error::EncryptError);
        }
        let filled = self.writing.seal(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0], out)?;
        self.writing = Key::new(self.secrets.update_tx_secret()?, ProtocolVersion::TLSv1_3)?;
        self.owes_update = false;
        Ok(filled)
    }

    fn say(&mut self, content: u8, plain: &[u8], reply: &mut Vec<u8>) -> Result<(), Error> {
        let end = reply.len();
        reply.resize(end + plain.len() + OVERHEAD + 1, 0);
        let sealed = self.writing.seal(content, plain, &mut reply[end..]);
        reply.truncate(end + sealed.as_ref().unwrap_or(&0));
        sealed.map(|_| ())
    }

    /// Counts a record without data.
    fn count(&mut self, fault: PeerMisbehaved) -> Result<(), Error> {
        self.empty += 1;
        if self.empty > MOST_EMPTY { Err(fault.into()) } else { Ok(()) }
    }
}
