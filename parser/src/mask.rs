//! XOR of a slice with the masking key, in place or while copying (RFC 6455 section 5.3).
//!
//! Everything goes in blocks of 4, 8, 16 or 32 bytes, which the compiler turns into one or two vector instructions of
//! the build's target. A length that is no multiple of a block ends with a block that overlaps the one before it:
//! both are taken from the untouched data, so the shared bytes get the same value twice, and no byte loop is needed.

/// XORs `data` in place. `phase` is the index of the key byte that meets `data[0]`, modulo 4.
#[inline]
pub fn apply(data: &mut [u8], key: [u8; 4], phase: usize) {
    let key = Key::new(key, phase);
    match data.len() {
        32.. => long(data, key),
        16.. => ends::<16>(data, key),
        8.. => ends::<8>(data, key),
        4.. => ends::<4>(data, key),
        _ => {
            for (index, byte) in data.iter_mut().enumerate() {
                *byte ^= key.byte(index);
            }
        }
    }
}

/// Writes `src`, XORed, to `dst` in one pass. `phase` as in [`apply`].
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn apply_into(dst: &mut [u8], src: &[u8], key: [u8; 4], phase: usize) {
    dst.copy_from_slice(src);
    apply(dst, key, phase);
}

/// The key as a number whose lowest byte meets the first byte of a block.
#[derive(Clone, Copy)]
struct Key(u32);

impl Key {
    #[inline]
    fn new(key: [u8; 4], phase: usize) -> Key {
        Key(u32::from_le_bytes(key)).rotated(phase)
    }

    /// The key for a block that starts `offset` bytes later.
    #[inline]
    fn rotated(self, offset: usize) -> Key {
        Key(self.0.rotate_right(8 * (offset % 4) as u32))
    }

    #[inline]
    fn byte(self, index: usize) -> u8 {
        self.0.to_le_bytes()[index % 4]
    }

    /// XORs one block. `N` is a multiple of 4.
    #[inline]
    fn block<const N: usize>(self, block: &mut [u8; N]) {
        for lane in block.as_chunks_mut().0 {
            *lane = (u32::from_le_bytes(*lane) ^ self.0).to_le_bytes();
        }
    }
}

/// From `N` to `2 * N` bytes: a block at either end.
#[inline]
fn ends<const N: usize>(data: &mut [u8], key: Key) {
    let last = data.len() - N;
    let (Some(&head), Some(&tail)) = (data.first_chunk::<N>(), data.last_chunk::<N>()) else { return };
    let (mut head, mut tail) = (head, tail);
    key.block(&mut head);
    key.rotated(last).block(&mut tail);
    data[..N].copy_from_slice(&head);
    data[last..].copy_from_slice(&tail);
}

#[inline]
fn long(data: &mut [u8], key: Key) {
    const N: usize = 32;
    let last = data.len() - N;
    let Some(&tail) = data.last_chunk::<N>() else { return };
    let mut tail = tail;
    key.rotated(last).block(&mut tail);
    for block in data.as_chunks_mut::<N>().0 {
        key.block(block);
    }
    data[last..].copy_from_slice(&tail);
}
