//! XOR of a slice with the masking key, in place or while copying (RFC 6455 section 5.3).
//!
//! No vector intrinsics: the loops are shaped so that the compiler uses the widest vectors of the build's target, and
//! `parser/vectors` looks at the instructions. Vectors of a build for any x86-64 are half as wide as what its processors store at
//! once; so that build has the loops for large data once more, for AVX2, and asks the processor.
//!
//! What does not fill a block at the end is covered by one more block that overlaps the one before. Both are made from
//! the untouched data, so the bytes they share get the same value twice, and no loop over single bytes is needed.

/// XORs `data` in place. `phase` is the index of the key byte that meets `data[0]`, modulo 4.
#[inline]
pub fn apply(data: &mut [u8], key: [u8; 4], phase: usize) {
    unmask::<false>(data, Key::new(key).after(phase));
}

/// As [`apply`] with phase 0, and says whether everything is ASCII afterwards: almost for nothing, where text would
/// otherwise need a second pass.
#[inline(always)]
pub(crate) fn apply_to_text(data: &mut [u8], key: [u8; 4]) -> bool {
    unmask::<true>(data, Key::new(key)) & 0x8080_8080 == 0
}

/// Writes `src`, XORed, to `dst` in one pass. `phase` as in [`apply`].
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn apply_into(dst: &mut [u8], src: &[u8], key: [u8; 4], phase: usize) {
    assert_eq!(dst.len(), src.len(), "source and destination of a masked copy differ in length");
    let key = Key::new(key).after(phase);
    match src.len() {
        LARGE.. => widest(
            #[inline(always)]
            || many_into(dst, src, key),
        ),
        BLOCK.. => many_into(dst, src, key),
        16.. => Ends::<16>::of(src, key).to(dst),
        8.. => Ends::<8>::of(src, key).to(dst),
        4.. => Ends::<4>::of(src, key).to(dst),
        _ => {
            dst.copy_from_slice(src);
            few(dst, key);
        }
    }
}

/// The key as a number whose lowest byte meets the first byte of the data.
#[derive(Clone, Copy)]
struct Key(u32);

impl Key {
    #[inline]
    fn new(key: [u8; 4]) -> Key {
        Key(u32::from_le_bytes(key))
    }

    /// The key for data that starts `len` bytes later.
    #[inline]
    fn after(self, len: usize) -> Key {
        Key(self.0.rotate_right(8 * (len % 4) as u32))
    }

    #[inline]
    fn word(self, word: [u8; 4]) -> u32 {
        u32::from_le_bytes(word) ^ self.0
    }

    /// XORs one block, and ORs its words. `N` is a multiple of 4.
    #[inline]
    fn block<const N: usize>(self, mut block: [u8; N]) -> ([u8; N], u32) {
        let mut seen = 0;
        for bytes in block.as_chunks_mut().0 {
            let word = self.word(*bytes);
            seen |= word;
            *bytes = word.to_le_bytes();
        }
        (block, seen)
    }
}

const BLOCK: usize = 32;

/// From so many bytes on it pays to ask the processor what it has.
const LARGE: usize = 512;

/// XORs `data`, and ORs all of it into one word if `TEXT`.
#[inline(always)]
fn unmask<const TEXT: bool>(data: &mut [u8], key: Key) -> u32 {
    match data.len() {
        BLOCK.. if data.len() >= LARGE => widest(
            #[inline(always)]
            || many::<TEXT>(data, key, to_boundary(data)),
        ),
        BLOCK.. => many::<TEXT>(data, key, 0),
        16.. => two::<16>(data, key),
        8.. => two::<8>(data, key),
        4.. => two::<4>(data, key),
        _ => few(data, key),
    }
}

/// [`BLOCK`] bytes or more; whole blocks of them from `skip` on, which is less than a block.
#[inline(always)]
fn many<const TEXT: bool>(data: &mut [u8], key: Key, skip: usize) -> u32 {
    let ends = Ends::<BLOCK>::of(data, key);
    let mut seen = ends.seen;
    let key = key.after(skip);
    for bytes in data[skip..].as_chunks_mut::<BLOCK>().0.as_flattened_mut().as_chunks_mut().0 {
        let word = key.word(*bytes);
        if TEXT {
            seen |= word;
        }
        *bytes = word.to_le_bytes();
    }
    if skip > 0 {
        ends.to(data);
    } else {
        ends.end_to(data);
    }
    seen
}

/// Bytes before the first place at which a block lies in one line of the cache: stores across two lines take twice as long.
#[inline(always)]
fn to_boundary(data: &[u8]) -> usize {
    (data.as_ptr() as usize).wrapping_neg() % BLOCK
}

/// As [`many`], from one place to another.
#[inline(always)]
fn many_into(dst: &mut [u8], src: &[u8], key: Key) {
    let words = src.as_chunks::<BLOCK>().0.as_flattened().as_chunks().0;
    for (dst, src) in dst.as_chunks_mut().0.iter_mut().zip(words) {
        *dst = key.word(*src).to_le_bytes();
    }
    Ends::<BLOCK>::of(src, key).end_to(dst);
}

/// Calls `work` compiled for the widest vectors that help. It has to be inlined.
#[cfg(all(feature = "detect", target_arch = "x86_64", not(target_feature = "avx2")))]
#[inline(never)]
fn widest<R>(work: impl FnOnce() -> R) -> R {
    use fearless_simd::{Level, Simd};
    match Level::new().as_avx2() {
        Some(avx2) => avx2.vectorize(work),
        None => work(),
    }
}

#[cfg(not(all(feature = "detect", target_arch = "x86_64", not(target_feature = "avx2"))))]
#[inline(always)]
fn widest<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// `N` to `2 * N` bytes.
#[inline]
fn two<const N: usize>(data: &mut [u8], key: Key) -> u32 {
    let ends = Ends::<N>::of(data, key);
    ends.to(data);
    ends.seen
}

/// The first and the last `N` bytes of some data, XORed.
struct Ends<const N: usize> {
    start: [u8; N],
    end: [u8; N],
    /// All words of both ORed.
    seen: u32,
}

impl<const N: usize> Ends<N> {
    /// `data` is at least `N` bytes long.
    #[inline]
    fn of(data: &[u8], key: Key) -> Ends<N> {
        let last = data.len() - N;
        let (mut start, mut end) = ([0; N], [0; N]);
        start.copy_from_slice(&data[..N]);
        end.copy_from_slice(&data[last..]);
        let (start, seen_at_start) = key.block(start);
        let (end, seen_at_end) = key.after(last).block(end);
        Ends { start, end, seen: seen_at_start | seen_at_end }
    }

    #[inline]
    fn to(&self, data: &mut [u8]) {
        data[..N].copy_from_slice(&self.start);
        self.end_to(data);
    }

    #[inline]
    fn end_to(&self, data: &mut [u8]) {
        let last = data.len() - N;
        data[last..].copy_from_slice(&self.end);
    }
}

/// Up to three bytes.
#[inline]
fn few(data: &mut [u8], key: Key) -> u32 {
    let mut seen = 0;
    for (byte, key) in data.iter_mut().zip(key.0.to_le_bytes()) {
        *byte ^= key;
        seen |= u32::from(*byte);
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn text_is_ascii_unless_one_byte_anywhere_is_not() {
        let key = [0x80, 0xff, 0x01, 0x7f];
        for len in (0..=300).chain(500..=560) {
            let mut ascii = vec![b'a'; len];
            apply(&mut ascii, key, 0);
            for place in 0..len {
                let mut data = ascii.clone();
                data[place] ^= 0x80;
                assert!(!apply_to_text(&mut data, key), "{place} of {len}");
                assert_eq!(data[place], b'a' | 0x80);
            }
            assert!(apply_to_text(&mut ascii, key));
            assert_eq!(ascii, vec![b'a'; len]);
        }
    }

    #[test]
    fn a_block_and_its_key_turned_are_the_same_wherever_it_starts() {
        let key = Key::new([1, 2, 3, 4]);
        for offset in 0..8 {
            let (block, _) = key.after(offset).block([0; 8]);
            assert_eq!(block[0], [1, 2, 3, 4][offset % 4]);
            assert_eq!(block[..4], block[4..]);
        }
    }
}
