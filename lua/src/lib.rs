//! lapps-lua
