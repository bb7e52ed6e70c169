//! lapps-parser
