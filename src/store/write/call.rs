//! What a transaction is told by those who write in it.

use uuid::Uuid;

use crate::store::db::statement::Statement;

/// Most of what one mailbox may hold.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct MailboxRoom {
    pub(in crate::store) contacts: i64,
    pub(in crate::store) bytes: i64,
}

/// A statement that answers a number for each contact it writes, in their order: its version.
pub(in crate::store) struct ProcedureCall<'q> {
    pub(in crate::store) statement: Statement<'q>,
    pub(in crate::store) mailbox: i64,
    /// The contact written last.
    pub(in crate::store) last: Uuid,
    pub(in crate::store) count: usize,
}
