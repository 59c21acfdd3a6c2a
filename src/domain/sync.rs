//! How far a client that follows changes has come (docs/graph.md, "Delta").

/// A point in the history of a mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watermark {
    /// The number of the mailbox's last change.
    pub seq: i64,
    /// Number and time (UTC microseconds) of the last entry in the change log; zeros if the log was empty. It
    /// distinguishes two histories with the same numbers, for instance after a backup is restored.
    pub entry: (i64, i64),
}

/// How far a client has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncState {
    /// The first round: the client has read everything up to this id. Changes after the watermark come in the next round.
    Reads(Watermark, String),
    /// The client knows the state at the watermark.
    Knows(Watermark),
}
