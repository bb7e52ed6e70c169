//! Who may use a service: the access list is configuration, the proof that it was asked is what services want to see.

pub use crate::config::acl::{Acl, Admitted};
