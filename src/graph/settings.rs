//! The settings of the Graph facade.

use std::sync::Arc;

use crate::domain::handling::Handling;
use crate::graph::throttle::{MailboxLimits, Throttle};

/// Settings of the Graph facade.
#[derive(Debug, Clone)]
pub struct GraphSettings {
    /// How to treat input that Graph would refuse, unless the request says so in `Prefer: handling=`.
    pub handling: Handling,
    /// Maximum number of steps in a batch.
    pub batch_limit: usize,
    /// Graph's own limits, which apply besides the server's; none if `None`.
    pub throttle: Option<MailboxLimits>,
}

impl Default for GraphSettings {
    fn default() -> Self {
        Self { handling: Handling::Lenient, batch_limit: 20, throttle: None }
    }
}

/// The Graph facade.
pub(crate) struct Graph {
    pub(crate) settings: GraphSettings,
    /// The counters of [`GraphSettings::throttle`].
    pub(crate) throttle: Option<Arc<Throttle>>,
}

impl Graph {
    pub(crate) fn new(settings: GraphSettings) -> Self {
        let throttle = settings.throttle.map(|limits| Arc::new(Throttle::new(limits)));
        Self { settings, throttle }
    }
}
