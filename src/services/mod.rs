//! What a connection may reach: the services, their targets, who may use them.

pub mod acl;
pub(crate) mod registry;
