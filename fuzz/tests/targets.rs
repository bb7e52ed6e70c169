//! The fuzz targets on stable: over the committed seeds, over random bytes, and over seeds that were damaged.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// The seeds of a target, by name.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut paths: Vec<_> = fs::read_dir(directory)
        .expect("the seeds are committed")
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort_unstable();
    assert!(!paths.is_empty(), "no seeds for {target}");
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A seed with some bytes changed, taken out or put in, and perhaps the tail of another one behind it.
fn damaged(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let seeds = seeds(target);
    let change = (any::<Index>(), any::<u8>(), 0..4_u8);
    (
        select(seeds.clone()),
        vec(change, 0..6),
        proptest::option::weighted(0.3, (select(seeds), any::<Index>())),
    )
        .prop_map(|(mut data, changes, tail)| {
            for (place, byte, kind) in changes {
                match (kind, data.len()) {
                    (_, 0) | (0, _) => data.insert(place.index(data.len() + 1), byte),
                    (1, len) => drop(data.remove(place.index(len))),
                    (2, len) => data[place.index(len)] ^= 1 << (byte % 8),
                    (_, len) => data[place.index(len)] = byte,
                }
            }
            if let Some((other, from)) = tail {
                data.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
            data
        })
}

macro_rules! targets {
    ($($target:ident)*) => { $(
        mod $target {
            use super::*;

            #[test]
            fn seeds() {
                super::seeds(stringify!($target)).iter().for_each(|seed| lapps_fuzz::$target(seed));
            }

            proptest! {
                #[test]
                fn any_bytes(data in vec(any::<u8>(), 0..300)) {
                    lapps_fuzz::$target(&data);
                }

                #[test]
                fn damaged_seeds(data in damaged(stringify!($target))) {
                    lapps_fuzz::$target(&data);
                }
            }
        }
    )* };
}

targets! { archive cbor decoder head json session utf8 }
