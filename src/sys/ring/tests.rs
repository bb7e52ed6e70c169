//! What a ring promises, on sockets of the loopback. Where the system refuses a ring, there is nothing to test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use super::*;

const LONG: Option<Duration> = Some(Duration::from_secs(30));
const NOW: Option<Duration> = Some(Duration::ZERO);

/// A ring, and what keeps its nested descriptor open.
fn ring() -> Option<(Ring, OwnedFd)> {
    if let Err(error) = Ring::probe() {
        println!("skipped: no io_uring: {}", reason(&error));
        return None;
    }
    let nested = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let mut ring = Ring::new(nested.as_raw_fd()).unwrap();
    ring.enable().unwrap();
    Some((ring, nested))
}

/// The server's end, which does not block, and the client's.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    client.set_read_timeout(LONG).unwrap();
    (server, client)
}

fn turn(ring: &mut Ring, orders: Vec<Order<'_>>, timeout: Option<Duration>) -> Batch {
    let mut batch = Batch::default();
    ring.turn(orders.into_iter(), &mut batch, timeout).unwrap();
    batch
}

/// Receives so many bytes from a socket, asking again whenever receiving has stopped. Tells how often it did.
fn receive(ring: &mut Ring, socket: &TcpStream, count: usize) -> (Vec<u8>, usize) {
    let (mut bytes, mut stops) = (Vec::new(), 0);
    let mut orders = vec![Order::new(7, socket, Wish::Receive)];
    while bytes.len() < count {
        let batch = turn(ring, std::mem::take(&mut orders), LONG);
        for News { token, what, more } in batch.news {
            assert_eq!(token, 7);
            match what {
                What::Bytes(lent) => {
                    bytes.extend_from_slice(&lent);
                    ring.give(lent);
                }
                What::Stopped => stops += 1,
                _ => panic!("the stream goes on"),
            }
            if !more {
                orders.push(Order::new(7, socket, Wish::Receive));
            }
        }
    }
    (bytes, stops)
}

#[test]
fn what_comes_is_received_in_order_whatever_the_buffers_do() {
    let Some((mut ring, _nested)) = ring() else { return };
    let (server, mut client) = pair();
    let sent: Vec<u8> = (0..20 * lent::BUFFERS * BUFFER_SIZE).map(|at| (at / 3) as u8).collect();
    let writer = thread::spawn({
        let sent = sent.clone();
        move || client.write_all(&sent).map(|()| client)
    });
    assert!(receive(&mut ring, &server, sent.len()).0 == sent);
    drop(writer.join().unwrap());
    // The end of the stream is news like any other.
    let batch = turn(&mut ring, Vec::new(), LONG);
    let last = batch.news.last().map(|news| (news.more, matches!(news.what, What::End)));
    assert_eq!(last, Some((false, true)));
}

#[test]
fn without_buffers_nothing_is_lost() {
    let Some((mut ring, _nested)) = ring() else { return };
    let (server, mut client) = pair();
    let mut kept = Vec::new();
    let mut total = 0;
    // Small pieces, each of which takes a buffer that is not given back.
    let mut orders = vec![Order::new(7, &server, Wish::Receive)];
    'full: loop {
        client.write_all(&[kept.len() as u8; 10]).unwrap();
        total += 10;
        for News { what, .. } in turn(&mut ring, std::mem::take(&mut orders), LONG).news {
            match what {
                What::Bytes(lent) => kept.push(lent),
                What::Stopped => break 'full,
                _ => panic!("the stream goes on"),
            }
        }
    }
    assert_eq!(kept.len(), lent::BUFFERS);
    let received: usize = kept.iter().map(|lent| lent.len()).sum();
    for lent in kept {
        ring.give(lent);
    }
    let (rest, _) = receive(&mut ring, &server, total - received);
    assert_eq!(rest, vec![lent::BUFFERS as u8; total - received]);
}

#[test]
fn a_send_that_is_not_taken_whole_is_told() {
    let Some((mut ring, _nested)) = ring() else { return };
    let (server, mut client) = pair();
    let bytes = vec![3; 64 << 20];
    let batch = turn(&mut ring, vec![Order::new(5, &server, Wish::Send(&bytes))], NOW);
    let [Sent { token: 5, asked, result: Ok(taken) }] = batch.sent[..] else { panic!("it was sent in part") };
    assert!(asked == bytes.len() && 0 < taken && taken < asked, "{taken}");
    let orders = vec![Order::new(5, &server, Wish::Send(&bytes)), Order::new(5, &server, Wish::Writable)];
    let batch = turn(&mut ring, orders, NOW);
    assert!(is_blocked(&batch.sent[0].result) && batch.news.is_empty());
    client.read_exact(&mut vec![0; taken]).unwrap();
    let news = turn(&mut ring, Vec::new(), LONG).news;
    assert!(
        matches!(news[..], [News { token: 5, what: What::Ready(Asked::Writable, ready), .. }] if ready.writable)
    );
    let orders = (0..2 * ORDERS).map(|_| Order::new(5, &server, Wish::Send(b"one of many"))).collect();
    let batch = turn(&mut ring, orders, NOW);
    assert_eq!(batch.sent.len(), 2 * ORDERS as usize);
    assert!(batch.sent.iter().all(|sent| sent.result.as_ref().is_ok_and(|len| *len == sent.asked)));
}

#[test]
fn a_socket_is_closed_when_its_orders_have_ended() {
    let Some((mut ring, _nested)) = ring() else { return };
    let (server, mut client) = pair();
    let orders = [Wish::Receive, Wish::Watch, Wish::Fault].map(|wish| Order::new(9, &server, wish));
    turn(&mut ring, orders.into(), NOW);
    drop(server);
    for asked in [Asked::Receive, Asked::Watch, Asked::Fault] {
        ring.cancel(9, asked);
    }
    // One that is not there does no harm.
    ring.cancel(9, Asked::Writable);
    turn(&mut ring, Vec::new(), NOW);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_wake_up_ends_the_sleep_and_another_one_the_next() {
    let Some((mut ring, _nested)) = ring() else { return };
    for _ in 0..3 {
        let wake = Arc::clone(ring.wake());
        let other = thread::spawn(move || rustix::io::write(&*wake, &1_u64.to_ne_bytes()));
        turn(&mut ring, Vec::new(), None);
        other.join().unwrap().unwrap();
    }
}

#[test]
fn the_reason_of_a_refusal_is_told_in_words() {
    for (number, told) in [
        (libc::ENOSYS, "the kernel has no io_uring"),
        (libc::EPERM, "a sandbox, or kernel.io_uring_disabled"),
        (libc::EINVAL, "it needs Linux 6.1"),
        (libc::ENOMEM, "see `ulimit -l`"),
        (libc::EMFILE, "Too many open files"),
    ] {
        let text = reason(&io::Error::from_raw_os_error(number));
        assert!(text.contains(told), "{text}");
    }
}
