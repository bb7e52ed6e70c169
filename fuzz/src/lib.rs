//! lapps-fuzz
