//! What is written is read again, whatever it is.

use std::collections::BTreeMap;

use lapps::services::lar::{Limits, write};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::model::read;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_again(
        files in btree_map("[a-zü. ][a-z0-9._ -]{0,12}(/x[a-z]{0,3}){0,2}", (0..0o1000_u32, vec(any::<u8>(), 0..2000)), 0..8),
    ) {
        let mut files: BTreeMap<String, (u32, Vec<u8>)> =
            files.into_iter().map(|(path, file)| (format!("root/{path}"), file)).collect();
        files.insert("root/root.json".into(), (0o600, b"{}".to_vec()));
        let written = write(files.iter().map(|(path, (mode, content))| (path.as_str(), *mode, content.as_slice())));
        match written {
            Ok(bytes) => {
                let read = read(&bytes, &Limits::default()).unwrap();
                let expected: Vec<_> = files.into_iter().map(|(path, (mode, content))| (path, mode, content)).collect();
                prop_assert_eq!(read, expected);
            }
            // Names that cannot stand beside each other, or are no names.
            Err(error) => prop_assert!(error.to_string().contains("cannot be") || error.to_string().contains("leads"), "{error}"),
        }
    }
}
