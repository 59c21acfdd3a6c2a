//! Background work and operators' jobs of the store: purges, copies, leases.
pub(in crate::store) mod copy;
pub(in crate::store) mod emptying;
pub(in crate::store) mod leases;
pub(in crate::store) mod purge;
