//! What a connection may reach: the services, their targets, who may use them, and how they come.

pub mod acl;
pub(crate) mod current;
pub(crate) mod deployer;
pub mod lar;
pub(crate) mod refused;
pub(crate) mod registry;
