//! libFuzzer's door to [`lapps_fuzz::archive`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lapps_fuzz::archive(data));
