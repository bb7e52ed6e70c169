//! What one connection has still to write, in order, flushed by as few calls as possible.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use lapps_parser::frame::{self, MAX_HEADER_LEN, OpCode};

/// A payload of this size gets a segment of its own, so that a growing buffer never copies it again.
const LARGE: usize = 16 * 1024;

/// What is shared and not larger than this is copied where something else waits: a reference would cost as much, and each a
/// slice of the write.
const LITTLE: usize = 256;

/// Slices per vectored write.
const SLICES: usize = 32;

/// Output that waits for the socket. Empty, it owns no memory.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    /// The first bytes to go. Memory that is its own comes from, and goes back to, the worker's [`Buffers`].
    head: Segment,
    /// What comes after `head`; most queues never have any.
    tail: Option<Box<Tail>>,
    /// Bytes that wait, over all segments.
    len: usize,
    /// Bytes of the first segment that are written already: less than its length.
    start: u32,
    /// Length of the last frame if that is a pong, else 0.
    last_pong: u8,
}

/// Segments that are not the first.
#[derive(Debug, Default)]
struct Tail(VecDeque<Segment>);

/// Bytes in one piece: less than 4 GiB, since no string of Lua has more than 2.
#[derive(Debug)]
enum Segment {
    Own(Vec<u8>),
    /// A broadcast, which waits for many.
    Shared(Arc<[u8]>),
}

impl WriteQueue {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends what `write` puts into the buffer it is given; `expected` is its size in bytes, roughly.
    pub(crate) fn append(
        &mut self,
        buffers: &mut Buffers,
        expected: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let out = self.room_for(buffers, expected);
        let before = out.len();
        write(out);
        let added = out.len() - before;
        self.len += added;
        self.last_pong = 0;
    }

    /// Appends a frame of a server.
    #[inline]
    pub(crate) fn append_frame(&mut self, buffers: &mut Buffers, opcode: OpCode, payload: &[u8]) {
        let expected = payload.len() + MAX_HEADER_LEN;
        let fits = match &mut self.head {
            Segment::Own(head) if self.tail.is_none() && head.len() < LARGE => {
                if head.capacity() == 0 {
                    *head = buffers.take();
                }
                head.capacity() - head.len() >= expected
            }
            _ => false,
        };
        if fits && let Segment::Own(head) = &mut self.head {
            let before = head.len();
            frame::write_frame(head, true, opcode, payload);
            self.len += head.len() - before;
            self.last_pong = 0;
        } else {
            self.append(buffers, expected, |out| frame::write_frame(out, true, opcode, payload));
        }
    }

    /// Appends bytes that others send, too: as a reference, unless a copy is less.
    pub(crate) fn append_shared(&mut self, buffers: &mut Buffers, bytes: &Arc<[u8]>) {
        if self.len == 0 && self.head.capacity() == 0 {
            self.head = Segment::Shared(Arc::clone(bytes));
        } else if bytes.len() <= LITTLE {
            return self.append(buffers, bytes.len(), |out| out.extend_from_slice(bytes));
        } else {
            self.push(Segment::Shared(Arc::clone(bytes)));
        }
        self.len += bytes.len();
        self.last_pong = 0;
    }

    /// Appends bytes that have memory of their own; many of them stay in it.
    pub(crate) fn append_owned(&mut self, buffers: &mut Buffers, bytes: Vec<u8>) {
        if bytes.len() < LARGE {
            return self.append(buffers, bytes.len(), |out| out.extend_from_slice(&bytes));
        }
        let alone = self.len == 0 && self.head.capacity() == 0;
        self.len += bytes.len();
        self.last_pong = 0;
        if alone {
            self.head = Segment::Own(bytes);
        } else {
            self.push(Segment::Own(bytes));
        }
    }

    /// Appends a pong, in place of an unwritten pong that is the last frame: RFC 6455 5.5.3 lets us answer only the
    /// most recent ping, and that bounds what a peer gets that pings and does not read.
    pub(crate) fn append_pong(&mut self, buffers: &mut Buffers, blocked: bool, frame: &[u8]) {
        let last = usize::from(self.last_pong);
        if blocked && last != 0 {
            let alone = self.segments().count() == 1;
            let start = self.start as usize;
            if let Segment::Own(segment) = self.last() {
                let begun = alone && start > segment.len() - last;
                if !begun {
                    segment.truncate(segment.len() - last);
                    self.len -= last;
                }
            }
        }
        self.append(buffers, frame.len(), |out| out.extend_from_slice(frame));
        self.last_pong = frame.len() as u8;
    }

    /// The first bytes, for a writer that takes one slice at a time.
    pub(crate) fn front(&self) -> &[u8] {
        self.segments().next().map_or(&[][..], |first| &first[self.start as usize..])
    }

    /// All bytes, if they lie in one piece that is not shared.
    #[inline]
    pub(crate) fn only_piece(&self) -> Option<&[u8]> {
        match &self.head {
            Segment::Own(head) if self.tail.is_none() => Some(&head[self.start as usize..]),
            _ => None,
        }
    }

    /// True when all bytes are in [`WriteQueue::front`].
    pub(crate) fn is_one_piece(&self) -> bool {
        self.front().len() == self.len
    }

    /// Writes as much as `writer` takes. `Ok(true)`: all is written; `Ok(false)`: the writer would block.
    pub(crate) fn write_to(
        &mut self,
        writer: &mut impl io::Write,
        buffers: &mut Buffers,
    ) -> io::Result<bool> {
        while self.len > 0 {
            let result = if self.tail.is_none() {
                writer.write(&self.head.bytes()[self.start as usize..])
            } else {
                self.write_vectored(writer)
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.consume(written, buffers),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Forgets the first `written` bytes.
    pub(crate) fn consume(&mut self, written: usize, buffers: &mut Buffers) {
        debug_assert!(written <= self.len);
        self.len -= written;
        let mut left = self.start as usize + written;
        let head = self.head.bytes().len();
        if left >= head && head > 0 {
            left -= head;
            buffers.give(std::mem::take(&mut self.head));
        }
        if let Some(Tail(tail)) = self.tail.as_deref_mut().filter(|_| self.head.bytes().is_empty()) {
            while tail.front().is_some_and(|segment| left >= segment.bytes().len()) {
                let Some(segment) = tail.pop_front() else { break };
                left -= segment.bytes().len();
                buffers.give(segment);
            }
            if tail.is_empty() {
                self.tail = None;
            }
        }
        self.start = left as u32;
        if self.len == 0 {
            self.last_pong = 0;
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self, buffers: &mut Buffers) {
        if self.len > 0 {
            self.consume(self.len, buffers);
        }
    }

    /// A buffer at the end of the queue that takes `expected` more bytes without moving what it holds, if possible.
    fn room_for(&mut self, buffers: &mut Buffers, expected: usize) -> &mut Vec<u8> {
        let large = expected >= LARGE;
        // A segment that is large enough takes no more: a queue that never empties would keep all that it ever wrote.
        let in_head = self.tail.is_none()
            && match &self.head {
                Segment::Own(head) => head.is_empty() || (!large && head.len() < LARGE),
                // Several small broadcasts, or one and an answer, are one piece.
                Segment::Shared(head) => !large && head.len() <= LITTLE,
            };
        if in_head {
            if self.head.capacity() == 0 {
                let mut own = if large { Vec::with_capacity(expected) } else { buffers.take() };
                own.extend_from_slice(self.head.bytes());
                self.head = Segment::Own(own);
            }
        } else {
            let fits = match self.last() {
                Segment::Own(last) => {
                    last.capacity() - last.len() >= expected || (!large && last.len() < LARGE)
                }
                Segment::Shared(_) => false,
            };
            if !fits || self.tail.is_none() {
                let own = if large { Vec::with_capacity(expected) } else { buffers.take() };
                self.push(Segment::Own(own));
            }
        }
        match self.last() {
            Segment::Own(own) => own,
            Segment::Shared(_) => unreachable!("it was just made one of our own"),
        }
    }

    fn push(&mut self, segment: Segment) {
        self.tail.get_or_insert_default().0.push_back(segment);
    }

    /// The segment that ends the queue; an empty one if it is empty.
    fn last(&mut self) -> &mut Segment {
        self.tail.as_mut().and_then(|tail| tail.0.back_mut()).unwrap_or(&mut self.head)
    }

    /// All segments that have bytes.
    fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let head = Some(self.head.bytes()).filter(|head| !head.is_empty());
        head.into_iter().chain(self.tail.iter().flat_map(|tail| tail.0.iter().map(Segment::bytes)))
    }

    fn write_vectored(&self, writer: &mut impl io::Write) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for bytes in self.segments().take(SLICES) {
            slices[count] = IoSlice::new(if count == 0 { &bytes[self.start as usize..] } else { bytes });
            count += 1;
        }
        writer.write_vectored(&slices[..count])
    }
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match self {
            Segment::Own(bytes) => bytes,
            Segment::Shared(bytes) => bytes,
        }
    }

    /// Bytes that it takes without asking for memory; 0 for what is shared.
    fn capacity(&self) -> usize {
        match self {
            Segment::Own(bytes) => bytes.capacity(),
            Segment::Shared(_) => 0,
        }
    }
}

impl Default for Segment {
    fn default() -> Segment {
        Segment::Own(Vec::new())
    }
}

/// Buffers that wait to be used again: one stock per worker, so that a reply needs no allocation and an idle connection
/// no memory.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    free: Vec<Vec<u8>>,
}

impl Buffers {
    /// Capacity of a new buffer.
    const FRESH: usize = 1024;
    /// A larger buffer is not kept.
    const LARGEST: usize = 64 * 1024;
    /// Buffers kept.
    const COUNT: usize = 64;

    /// Gives back all memory: there will be no output for some time.
    pub(crate) fn rest(&mut self) {
        self.free = Vec::new();
    }

    fn take(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_else(|| Vec::with_capacity(Self::FRESH))
    }

    fn give(&mut self, segment: Segment) {
        let Segment::Own(mut buffer) = segment else { return };
        if buffer.capacity() <= Self::LARGEST && self.free.len() < Self::COUNT {
            buffer.clear();
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes `room` bytes per call, then would block.
    struct Socket {
        got: Vec<u8>,
        room: Vec<usize>,
    }

    impl io::Write for Socket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.room.pop() {
                Some(room) if room > 0 => {
                    let taken = room.min(bytes.len());
                    self.got.extend_from_slice(&bytes[..taken]);
                    Ok(taken)
                }
                _ => Err(io::ErrorKind::WouldBlock.into()),
            }
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            self.write(&all)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn put(queue: &mut WriteQueue, buffers: &mut Buffers, bytes: &[u8]) {
        queue.append(buffers, bytes.len(), |out| out.extend_from_slice(bytes));
    }

    #[test]
    fn an_empty_queue_owns_no_memory() {
        let (mut queue, mut buffers) = (WriteQueue::default(), Buffers::default());
        put(&mut queue, &mut buffers, b"small");
        put(&mut queue, &mut buffers, &vec![7; 100_000]);
        put(&mut queue, &mut buffers, &vec![8; 100_000]);
        let mut socket = Socket { got: Vec::new(), room: vec![usize::MAX; 9] };
        assert!(queue.write_to(&mut socket, &mut buffers).unwrap());
        assert_eq!((queue.len(), queue.head.capacity(), queue.tail.is_none(), queue.start), (0, 0, true, 0));
        assert_eq!(socket.got.len(), 5 + 200_000);
    }

    #[test]
    fn small_frames_leave_in_one_call() {
        let (mut queue, mut buffers) = (WriteQueue::default(), Buffers::default());
        for _ in 0..100 {
            put(&mut queue, &mut buffers, b"0123456789");
        }
        let mut socket = Socket { got: Vec::new(), room: vec![usize::MAX] };
        assert!(queue.write_to(&mut socket, &mut buffers).unwrap());
        assert_eq!(socket.got.len(), 1000);
    }

    #[test]
    fn what_is_written_gives_its_memory_back_even_if_the_queue_is_never_empty() {
        let (mut queue, mut buffers) = (WriteQueue::default(), Buffers::default());
        put(&mut queue, &mut buffers, &[1; 1000]);
        for _ in 0..100_000 {
            put(&mut queue, &mut buffers, &[2; 1000]);
            queue.consume(1000, &mut buffers);
        }
        let tail = queue.tail.iter().flat_map(|tail| &tail.0);
        let memory = queue.head.capacity() + tail.map(Segment::capacity).sum::<usize>();
        assert!(memory < 64 * 1024, "{memory} bytes for {} that wait", queue.len());
    }

    #[test]
    fn only_the_latest_pong_waits_for_a_peer_that_does_not_read() {
        let (mut queue, mut buffers) = (WriteQueue::default(), Buffers::default());
        put(&mut queue, &mut buffers, b"data");
        for n in 0..1000 {
            queue.append_pong(&mut buffers, true, format!("pong{n:04}").as_bytes());
        }
        assert_eq!(queue.front(), b"datapong0999");
        put(&mut queue, &mut buffers, b"more");
        queue.append_pong(&mut buffers, true, b"pong!");
        assert_eq!(queue.front(), b"datapong0999morepong!");
    }

    #[test]
    fn a_pong_that_is_partly_written_is_finished() {
        let (mut queue, mut buffers) = (WriteQueue::default(), Buffers::default());
        queue.append_pong(&mut buffers, true, b"first");
        queue.consume(2, &mut buffers);
        queue.append_pong(&mut buffers, true, b"second");
        assert_eq!(queue.front(), b"rstsecond");
    }

    #[test]
    fn pongs_are_all_sent_while_the_peer_reads() {
        let (mut queue, mut buffers) = (WriteQueue::default(), Buffers::default());
        queue.append_pong(&mut buffers, false, b"first");
        queue.append_pong(&mut buffers, false, b"second");
        assert_eq!(queue.front(), b"firstsecond");
    }

    #[test]
    fn what_is_shared_is_not_copied_and_what_follows_comes_behind_it() {
        let (mut queue, mut buffers) = (WriteQueue::default(), Buffers::default());
        let (small, large): (Arc<[u8]>, Arc<[u8]>) = ([1; 100].into(), [2; LITTLE + 1].into());
        queue.append_shared(&mut buffers, &small);
        assert_eq!((queue.front().as_ptr(), Arc::strong_count(&small)), (small.as_ptr(), 2));
        queue.consume(100, &mut buffers);
        assert_eq!((queue.len(), Arc::strong_count(&small)), (0, 1));

        queue.append_shared(&mut buffers, &small);
        queue.consume(30, &mut buffers);
        queue.append_shared(&mut buffers, &small);
        queue.append_pong(&mut buffers, true, b"pong");
        assert!(queue.is_one_piece());
        assert_eq!(queue.front(), [&[1; 170][..], b"pong"].concat());
        queue.append_shared(&mut buffers, &large);
        queue.append_shared(&mut buffers, &large);
        assert_eq!(Arc::strong_count(&large), 3);
        queue.append_pong(&mut buffers, true, b"first");
        queue.append_pong(&mut buffers, true, b"again");
        let mut socket = Socket { got: Vec::new(), room: vec![usize::MAX; 2] };
        assert!(queue.write_to(&mut socket, &mut buffers).unwrap());
        assert_eq!(socket.got, [&[1; 170][..], b"pong", &large, &large, b"again"].concat());
        assert_eq!((Arc::strong_count(&large), queue.tail.is_none()), (1, true));
    }

    proptest! {
        #[test]
        fn bytes_leave_in_order_whatever_the_socket_takes(
            parts in proptest::collection::vec((0usize..40_000, 0usize..5), 1..12),
            rooms in proptest::collection::vec(0usize..30_000, 0..40),
        ) {
            let (mut queue, mut buffers) = (WriteQueue::default(), Buffers::default());
            let mut socket = Socket { got: Vec::new(), room: Vec::new() };
            let mut expected = Vec::new();
            let mut rooms = rooms.into_iter();
            for (n, (size, kind)) in parts.into_iter().enumerate() {
                let size = if matches!(kind, 2 | 3) { size % (2 * LITTLE) } else { size };
                let bytes: Vec<u8> = (0..size).map(|i| (i * 31 + n * 7) as u8).collect();
                expected.extend_from_slice(&bytes);
                match kind {
                    0 | 2 => put(&mut queue, &mut buffers, &bytes),
                    1 | 3 => queue.append_shared(&mut buffers, &bytes.into()),
                    _ => queue.append_owned(&mut buffers, bytes),
                }
                if let Some(room) = rooms.next() {
                    socket.room = vec![room];
                    queue.write_to(&mut socket, &mut buffers).unwrap();
                }
                prop_assert_eq!(queue.len(), expected.len() - socket.got.len());
                prop_assert_eq!(queue.is_empty(), queue.front().is_empty());
            }
            for room in rooms {
                socket.room = vec![room];
                queue.write_to(&mut socket, &mut buffers).unwrap();
            }
            socket.room = vec![usize::MAX; 1000];
            prop_assert!(queue.write_to(&mut socket, &mut buffers).unwrap());
            prop_assert_eq!(socket.got, expected);
        }
    }
}
