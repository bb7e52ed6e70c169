//! More connections than a process may have descriptors, over a network without a kernel: a whole worker with an echo service, each
//! echo checked.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use lapps_parser::frame::{FrameHeader, OpCode, write_masked_frame};
use rustix::time::{ClockId, clock_gettime};

use super::tests::patient;
use super::{Conn, Worker};
use crate::engine::settings::Timeouts;
use crate::engine::slab::Key;
use crate::net::transport::Transport;
use crate::sys::poller::{Happenings, Poller};
use crate::sys::simulation::{self, Simulated};

/// Who is ready at the same time.
const AT_ONCE: usize = 100;

const PAYLOAD: usize = 128;

const HEAD: &[u8] = b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// RFC 6455 1.3 has the answer to this key.
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A worker and all of its peers.
struct Crowd {
    worker: Worker,
    happenings: Happenings,
    keys: Vec<Key>,
    /// The numbers of all connections, in the order in which they speak.
    order: Vec<u32>,
    /// What those who are ready at the same time have said.
    said: Vec<[u8; PAYLOAD]>,
    random: u64,
    /// Processor time that the worker took.
    taken: Duration,
}

impl Crowd {
    /// Nobody yet; there is room for so many.
    fn of(connections: usize) -> Crowd {
        simulation::expect(connections);
        // Nobody is asked whether he is there.
        let patience = Timeouts { handshake: 9000, ping: 9000, idle: 9000, stalled: 9000, closing: 9000 };
        let mut services = crate::config::demo().services;
        services.retain(|service| service.request_target == "/echo");
        let mut worker = patient(Poller::epoll().unwrap(), None, patience, services);
        worker.start(0);
        worker.registry.entry(0).set_running(true);
        Crowd {
            worker,
            happenings: Happenings::with_capacity(8),
            keys: Vec::new(),
            order: (0..connections as u32).collect(),
            said: vec![[0; PAYLOAD]; AT_ONCE],
            random: 0x9e37_79b9_7f4a_7c15,
            taken: Duration::ZERO,
        }
    }

    /// One turn of the worker.
    fn turn(&mut self) {
        let before = processor_time();
        self.worker.wait(&mut self.happenings, Some(Duration::from_millis(100))).unwrap();
        self.worker.turn(&mut self.happenings, &mut self.keys);
        self.taken += processor_time() - before;
    }

    /// Everybody comes, and is answered.
    fn open(&mut self) {
        for from in (0..self.order.len()).step_by(AT_ONCE) {
            let numbers = from as u32..self.order.len().min(from + AT_ONCE) as u32;
            for number in numbers.clone() {
                let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, number as u16));
                let transport = Transport::Simulated(Simulated(number));
                let Ok(key) = self.worker.conns.insert(Conn::new(transport, peer, self.worker.now as u32))
                else {
                    panic!("there is no slot for number {number}");
                };
                self.worker.greet(key);
                simulation::send(number, |out| out.extend_from_slice(HEAD));
            }
            self.turn();
            let mut expected = numbers;
            simulation::answers(|number, answer| {
                assert_eq!(Some(number), expected.next());
                assert!(answer.starts_with(b"HTTP/1.1 101 "));
                assert!(answer.windows(ACCEPT.len()).any(|bytes| bytes == ACCEPT));
            });
            assert_eq!(expected.next(), None);
        }
        assert_eq!(self.worker.conns.len(), self.order.len());
        self.shuffle();
    }

    /// So many messages there and back, from all in turn.
    fn exchange(&mut self, messages: usize) {
        let header = FrameHeader::unmasked(OpCode::Binary, PAYLOAD).encode();
        let mut left = messages;
        let mut from = 0;
        while left > 0 {
            let many = AT_ONCE.min(self.order.len() - from).min(left);
            for at in 0..many {
                let mask = (self.random() as u32).to_le_bytes();
                for word in self.said[at].as_chunks_mut().0 {
                    self.random = step(self.random);
                    *word = self.random.to_le_bytes();
                }
                let said = &self.said[at];
                simulation::send(self.order[from + at], |out| {
                    write_masked_frame(out, true, OpCode::Binary, said, mask);
                });
            }
            self.turn();
            let mut answered = 0;
            let (order, said) = (&self.order[from..], &self.said);
            simulation::answers(|number, answer| {
                assert_eq!(number, order[answered]);
                assert!(answer.strip_prefix(&header[..]) == Some(&said[answered][..]));
                answered += 1;
            });
            assert_eq!(answered, many);
            left -= many;
            from = (from + many) % self.order.len();
        }
    }

    /// Everybody goes.
    fn close(&mut self) {
        for from in (0..self.order.len()).step_by(AT_ONCE) {
            let to = self.order.len().min(from + AT_ONCE);
            for number in &self.order[from..to] {
                simulation::send(*number, |out| {
                    write_masked_frame(out, true, OpCode::Close, &1000_u16.to_be_bytes(), [1, 2, 3, 4]);
                });
            }
            self.turn();
            let mut answered = 0;
            simulation::answers(|_, answer| {
                assert_eq!(answer, [0x88, 2, 3, 232]);
                answered += 1;
            });
            assert_eq!(answered, to - from);
            for number in &self.order[from..to] {
                // The end of the stream.
                simulation::send(*number, |_| ());
            }
            self.turn();
            simulation::answers(|_, answer| panic!("{answer:?} after the end"));
        }
        assert_eq!(self.worker.conns.len(), 0);
    }

    /// Until the worker has seen that it is quiet.
    fn rest(&mut self) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(2500) {
            self.turn();
        }
    }

    fn shuffle(&mut self) {
        for last in (1..self.order.len()).rev() {
            let other = self.random() as usize % (last + 1);
            self.order.swap(last, other);
        }
    }

    fn random(&mut self) -> u64 {
        self.random = step(self.random);
        self.random >> 33
    }
}

/// A linear congruential generator; its upper bits are the random ones.
fn step(random: u64) -> u64 {
    random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1)
}

fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Bytes of this process that are in memory, exactly.
fn resident() -> f64 {
    let told = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

#[test]
fn thousands_come_are_heard_and_go() {
    let mut crowd = Crowd::of(2500);
    crowd.open();
    crowd.exchange(5050);
    crowd.close();
}

/// For `bench/scale`, which runs it in a process of its own.
#[test]
#[ignore = "it measures"]
fn what_one_of_many_takes() {
    let connections: usize = std::env::var("LAPPS_CONNECTIONS").map_or(10_000, |n| n.parse().unwrap());
    let mut crowd = Crowd::of(connections);
    crowd.turn();
    let before = resident();
    crowd.open();
    crowd.rest();
    let idle = resident() - before;
    crowd.exchange(connections.max(300_000));
    crowd.taken = Duration::ZERO;
    let messages = (2 * connections).max(2_000_000);
    crowd.exchange(messages);
    let taken = crowd.taken.as_nanos() as f64 / messages as f64;
    crowd.rest();
    let after = resident() - before;
    crowd.close();
    crowd.rest();
    let each = |bytes: f64| bytes / connections as f64;
    println!(
        "| {connections} | {taken:.0} | {:.0} | {:.0} | {:.0} |",
        each(idle),
        each(after),
        each(resident() - before)
    );
}
