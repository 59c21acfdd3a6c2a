//! Parameters of the statements of a transaction.

use uuid::Uuid;

use crate::store::db::statement::Statement;

/// The maximum content of a mailbox.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct MailboxRoom {
    pub(in crate::store) contacts: i64,
    pub(in crate::store) bytes: i64,
}

/// A statement that returns the version of each contact that it writes, in their order.
pub(in crate::store) struct ProcedureCall<'q> {
    pub(in crate::store) statement: Statement<'q>,
    pub(in crate::store) mailbox: i64,
    /// The contact written last.
    pub(in crate::store) last: Uuid,
    pub(in crate::store) count: usize,
}
