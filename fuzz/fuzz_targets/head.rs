//! libFuzzer's door to [`lapps_fuzz::head`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lapps_fuzz::head(data));
