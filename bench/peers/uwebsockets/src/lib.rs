//! Nothing: the manifest is what is wanted.
