//! What the framework has to say of strangers. It calls a request that is none an error of its own, which is for the
//! operator to look at; here it is a line of who sent it, at info.

use std::cell::Cell;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the framework reads HTTP.
const TARGET: &str = "actix_http::h1::";
/// What it says when it gives a connection up, right before that ends.
const GIVEN_UP: [&str; 2] = ["stream error: ", "write zero; closing"];
/// What it says before it says why it gives up.
const BEFORE: &str = "MAX_BUFFER_SIZE unprocessed data reached";

thread_local! {
    /// Why the connection that ends next on this thread was given up.
    static REASON: Cell<Option<String>> = const { Cell::new(None) };
}

/// Why the framework has given up a connection, of one that ends now.
pub(crate) fn reason() -> Option<String> {
    REASON.take()
}

/// Takes the framework's lines about strangers out of the log. [`super::connections::Connections`] writes others.
pub struct Strangers;

impl<S: Subscriber> Layer<S> for Strangers {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if !event.metadata().target().starts_with(TARGET) {
            return true;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let Message(message) = message;
        if GIVEN_UP.iter().any(|start| message.starts_with(start)) {
            REASON.set(Some(message.trim_start_matches(GIVEN_UP[0]).to_owned()));
            return false;
        }
        !message.starts_with(BEFORE)
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
