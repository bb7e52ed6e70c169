//! libFuzzer's door to [`lapps_fuzz::cbor`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lapps_fuzz::cbor(data));
