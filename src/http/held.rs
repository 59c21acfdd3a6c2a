//! The permits that a request holds until the client has read its answer.

use crate::http::connections::ConnectionExchange;
use crate::http::front_end::Counted;
use crate::http::limits::Permit;
use crate::metrics::calls;

/// Dropped with the answer.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) permit: Option<Permit>,
    pub(crate) counted: Counted,
    pub(crate) exchange: ConnectionExchange,
    pub(crate) measured: Option<calls::CountedExchange>,
}

impl Held {
    /// The same, measured until it is dropped.
    pub(crate) fn with_metrics(self, measured: calls::CountedExchange) -> Self {
        Self { measured: Some(measured), ..self }
    }

    /// Releases the permits, except for the memory of the answer.
    pub(crate) fn release_permits(&mut self) {
        self.counted = None;
        if let Some(permit) = &mut self.permit {
            permit.finish();
        }
        self.exchange.set_waiting();
    }
}
