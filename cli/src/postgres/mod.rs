//! A private Postgres from the binaries that are installed: no service, no account, no container.

pub(crate) mod account;
pub(crate) mod binaries;
pub(crate) mod cluster;
pub(crate) mod keeper;
pub(crate) mod throwaway;
