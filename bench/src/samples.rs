//! Input that benches of the parser share.

use lapps_parser::frame::write_masked_frame;
use lapps_parser::{Limits, OpCode};

/// The upgrade request of a browser: 500 bytes.
pub const HEAD: &str = "GET /chat?room=lobby-12 HTTP/1.1\r\n\
    Host: chat.example.org:5083\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: https://chat.example.org\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9,de;q=0.7\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// Limits that none of the samples meets.
pub const LIMITS: Limits = Limits { max_message: 1 << 20, max_fragments: 16_384 };

/// One read's worth of masked frames. All-zero keys leave them as they are, so they can be decoded again and again; the
/// work is the same.
pub fn frames(opcode: OpCode, size: usize, count: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        write_masked_frame(&mut bytes, true, opcode, &vec![b'x'; size], [0; 4]);
    }
    bytes
}
