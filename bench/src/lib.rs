//! lapps-bench
