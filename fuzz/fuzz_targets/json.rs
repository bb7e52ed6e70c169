//! libFuzzer's door to [`lapps_fuzz::json`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lapps_fuzz::json(data));
