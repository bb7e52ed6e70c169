//! The ring against plain queues, in one thread and in two.

use proptest::prelude::*;

use super::*;

fn bounds(records: usize) -> Bounds {
    Bounds { records, weight: usize::MAX, area: 0 }
}

fn none() -> Payload<'static> {
    Payload::Copied([&[], &[]])
}

/// Appends a value without payload, or gives it back.
fn push<T: Send>(tx: &mut Producer<T>, value: T) -> Result<(), T> {
    tx.push(value, 0, none())
}

/// Takes the oldest record, with a copy of its payload.
fn pop<T: Send>(rx: &mut Consumer<T>) -> Option<(T, Vec<u8>)> {
    let bytes = match rx.front()?.1 {
        Bytes::Here(bytes) => bytes.to_vec(),
        Bytes::Owned(bytes, from) => std::mem::take(bytes).split_off(from),
    };
    Some((rx.pop()?, bytes))
}

fn is_here<T: Send>(rx: &mut Consumer<T>) -> bool {
    matches!(rx.front(), Some((_, Bytes::Here(_))))
}

/// Lets the indices be what they are after so many records, and as many bytes.
fn age<T: Send>(tx: &mut Producer<T>, rx: &mut Consumer<T>, age: usize) {
    (tx.tail, tx.head_seen, rx.head, rx.tail_seen) = (age, age, age, age);
    tx.end = Mark { weight: age, area: age };
    tx.begin = tx.end;
    tx.shared.tail.0.store(age, Ordering::Relaxed);
    tx.shared.head.0.store(age, Ordering::Relaxed);
}

#[test]
fn values_come_out_in_the_order_they_went_in() {
    let (mut tx, mut rx) = ring(bounds(4));
    for round in 0..10 {
        for n in 0..4 {
            push(&mut tx, round * 4 + n).unwrap();
        }
        assert_eq!(rx.count(), 4);
        for n in 0..4 {
            assert_eq!(rx.get(n).unwrap().0, &(round * 4 + n));
        }
        assert!(rx.get(4).is_none());
        for n in 0..4 {
            assert_eq!(rx.pop(), Some(round * 4 + n));
        }
        assert_eq!(rx.pop(), None);
    }
}

#[test]
fn a_full_ring_gives_the_value_back() {
    let (mut tx, mut rx) = ring(bounds(2));
    push(&mut tx, "a").unwrap();
    push(&mut tx, "b").unwrap();
    assert!(!tx.has_room());
    assert_eq!(tx.push("c", 0, Payload::Owned(vec![1], 0)), Err("c"));
    assert_eq!(rx.pop(), Some("a"));
    assert!(tx.has_room());
    push(&mut tx, "c").unwrap();
    assert_eq!((rx.pop(), rx.pop(), rx.pop()), (Some("b"), Some("c"), None));
}

#[test]
fn a_ring_is_full_of_weight_too_and_one_record_may_go_over_it() {
    let (mut tx, mut rx) = ring(Bounds { records: 8, weight: 100, area: 64 });
    tx.push(1, 0, Payload::Copied([&[0; 30], &[0; 30]])).unwrap();
    tx.push(2, 39, none()).unwrap();
    assert!(tx.has_room());
    tx.push(3, 0, Payload::Owned(vec![0; 1000], 9)).unwrap();
    assert_eq!(push(&mut tx, 4), Err(4));
    // The last one alone is more than enough.
    assert_eq!((rx.pop(), rx.pop()), (Some(1), Some(2)));
    assert!(!tx.has_room());
    rx.pop();
    assert!(tx.has_room());
}

#[test]
fn what_is_left_in_the_ring_is_dropped_once() {
    let value = Arc::new(());
    let (mut tx, mut rx) = ring(Bounds { records: 8, weight: usize::MAX, area: 16 });
    for len in [3, 0, 30, 7, 30] {
        tx.push(Arc::clone(&value), 0, Payload::Copied([&vec![1; len], &[]])).unwrap();
    }
    drop(rx.pop());
    assert_eq!(Arc::strong_count(&value), 5);
    drop((tx, rx));
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_payload_lies_in_one_piece_where_there_is_room_for_it() {
    let (mut tx, mut rx) = ring(Bounds { records: 8, weight: usize::MAX, area: 16 });
    let mut put = |value: u8, len: usize| {
        tx.push(value, 0, Payload::Copied([&vec![value; len - 1], &[value]])).unwrap();
    };
    put(1, 10);
    put(2, 4);
    // Two are left at the end; from the beginning on it would reach the first.
    put(3, 3);
    rx.count();
    assert_eq!(rx.get(1), Some((&2, &[2; 4][..])));
    assert!(is_here(&mut rx));
    assert_eq!(pop(&mut rx), Some((1, vec![1; 10])));
    // Now it does not.
    put(4, 3);
    put(5, 8);
    assert!(is_here(&mut rx));
    assert_eq!(pop(&mut rx), Some((2, vec![2; 4])));
    assert!(!is_here(&mut rx));
    assert_eq!(pop(&mut rx), Some((3, vec![3; 3])));
    assert!(is_here(&mut rx));
    assert_eq!(pop(&mut rx), Some((4, vec![4; 3])));
    assert!(!is_here(&mut rx), "three at the beginning and eleven behind were taken or skipped");
    assert_eq!(pop(&mut rx), Some((5, vec![5; 8])));
    // It is empty, so all of it is there again, in one piece.
    tx.push(6, 0, Payload::Copied([&[6; 16], &[]])).unwrap();
    assert!(is_here(&mut rx));
    assert_eq!(pop(&mut rx), Some((6, vec![6; 16])));
}

#[test]
fn indices_may_wrap() {
    let (mut tx, mut rx) = ring(Bounds { records: 2, weight: 40, area: 16 });
    age(&mut tx, &mut rx, usize::MAX - 20);
    for n in 0..20u8 {
        tx.push(n, 10, Payload::Copied([&[n; 5], &[]])).unwrap();
        tx.push(n + 100, 10, Payload::Copied([&[n; 9], &[]])).unwrap();
        assert!(push(&mut tx, 0).is_err());
        assert_eq!(pop(&mut rx), Some((n, vec![n; 5])));
        assert_eq!(pop(&mut rx), Some((n + 100, vec![n; 9])));
        assert_eq!(pop(&mut rx), None);
    }
}

#[test]
fn two_threads_see_every_record_once() {
    let count = if cfg!(miri) { 300 } else { 200_000u64 };
    let (mut tx, mut rx) = ring(Bounds { records: 16, weight: 2000, area: 256 });
    let writer = std::thread::spawn(move || {
        for n in 0..count {
            let bytes = vec![n as u8; (n * 37 % 120) as usize];
            let mut value = Box::new(n);
            while let Err(back) = tx.push(value, 8, Payload::Copied([&bytes, &[1]])) {
                value = back;
                std::thread::yield_now();
            }
        }
    });
    let mut expected = 0;
    while expected < count {
        let there = rx.count();
        for nth in 0..there {
            let (value, bytes) = rx.get(nth).unwrap();
            assert_eq!(**value, expected);
            let (last, bytes) = bytes.split_last().unwrap();
            assert_eq!((*last, bytes.len() as u64), (1, expected * 37 % 120));
            assert!(bytes.iter().all(|byte| *byte == expected as u8));
            expected += 1;
        }
        // They were read where they lie; only now their places may be used again.
        for _ in 0..there {
            rx.pop();
        }
        if there == 0 {
            std::thread::yield_now();
        }
    }
    writer.join().unwrap();
    assert!(rx.pop().is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Push { len: usize, cut: usize, owned: bool },
    Pop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (0usize..24, 0usize..24, proptest::bool::weighted(0.1))
        .prop_map(|(len, cut, owned)| Step::Push { len, cut: cut.min(len), owned });
    proptest::collection::vec(prop_oneof![push, Just(Step::Pop)], 0..200)
}

proptest! {
    /// Against a plain queue, from any age on.
    #[test]
    fn it_is_a_bounded_queue(steps in steps(), before in 0usize..64, records in 2usize..10) {
        let (mut tx, mut rx) = ring(Bounds { records, weight: 100, area: 32 });
        age(&mut tx, &mut rx, 0usize.wrapping_sub(before));
        let mut model = std::collections::VecDeque::<(usize, Vec<u8>, usize)>::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push { len, cut, owned } => {
                    let bytes: Vec<u8> = (0..len).map(|nth| (number * 7 + nth) as u8).collect();
                    let payload = match owned {
                        true => Payload::Owned([vec![0; cut], bytes.clone()].concat(), cut),
                        false => Payload::Copied([&bytes[..cut], &bytes[cut..]]),
                    };
                    let weight: usize = model.iter().map(|(_, bytes, cut)| bytes.len() + cut + 1).sum();
                    let fits = model.len() < records.next_power_of_two() && weight < 100;
                    prop_assert_eq!(tx.has_room(), fits);
                    prop_assert_eq!(tx.push(number, 1, payload).is_ok(), fits);
                    if fits {
                        model.push_back((number, bytes, if owned { cut } else { 0 }));
                    }
                }
                Step::Pop => {
                    let oldest = model.pop_front().map(|(number, bytes, _)| (number, bytes));
                    prop_assert_eq!(pop(&mut rx), oldest);
                }
            }
            prop_assert_eq!(rx.count(), model.len());
            for (nth, (number, bytes, _)) in model.iter().enumerate() {
                prop_assert_eq!(rx.get(nth), Some((number, &bytes[..])));
            }
        }
    }
}
