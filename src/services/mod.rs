//! What a connection may reach: the services, their targets, who may use them, and the archives they come in.

pub mod acl;
pub mod lar;
pub(crate) mod registry;
