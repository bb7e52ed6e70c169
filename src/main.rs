//! lapps
fn main() {}
