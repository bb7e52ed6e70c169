//! Feeding a head in pieces, for the tests of `http`.

use lapps_parser::http::{HeadError, HeadLimits, HeadScan};

/// Scans `bytes` whole, cut in two at every place, in three at many (if short), and byte by byte; all must
/// say the same.
pub(crate) fn scan_every_way(bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
    let whole = scan(bytes, [], limits);
    for cut in 0..=bytes.len() {
        assert_eq!(scan(bytes, [cut], limits), whole, "cut at {cut}: {:?}", bytes.escape_ascii().to_string());
        for second in (cut..=bytes.len().min(200)).step_by(7) {
            assert_eq!(scan(bytes, [cut, second], limits), whole, "cut at {cut} and {second}");
        }
    }
    assert_eq!(
        scan(bytes, 0..bytes.len(), limits),
        whole,
        "byte by byte: {:?}",
        bytes.escape_ascii().to_string()
    );
    whole
}

/// What the scan says when it sees the first `n` bytes for each `n` of `cuts`, and then all of them.
fn scan(
    bytes: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    limits: &HeadLimits,
) -> Result<Option<usize>, HeadError> {
    let mut scan = HeadScan::new();
    for cut in cuts.into_iter().chain([bytes.len()]) {
        match scan.find_end(&bytes[..cut], limits) {
            Ok(None) => {}
            found => return found,
        }
    }
    Ok(None)
}
