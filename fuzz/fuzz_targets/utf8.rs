//! libFuzzer's door to [`lapps_fuzz::utf8`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lapps_fuzz::utf8(data));
