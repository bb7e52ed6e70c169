//! LAppS as a library.
