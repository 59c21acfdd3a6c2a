//! The framework's log lines about invalid requests. It logs them as errors, which an operator would have to look at;
//! here they become one line at info that names the sender.

use std::cell::Cell;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The log target of the framework's HTTP reader.
const TARGET: &str = "actix_http::h1::";
/// Beginnings of the messages that the framework logs right before it drops a connection.
const DROP_MESSAGES: [&str; 2] = ["stream error: ", "write zero; closing"];
/// The message that the framework logs before the reason.
const PRECEDING_MESSAGE: &str = "MAX_BUFFER_SIZE unprocessed data reached";

thread_local! {
    /// Why the next connection that ends on this thread was dropped.
    static DROP_REASON: Cell<Option<String>> = const { Cell::new(None) };
}

/// Why the framework dropped the connection that ends now.
pub(crate) fn take_drop_reason() -> Option<String> {
    DROP_REASON.take()
}

/// Removes the framework's lines about invalid requests from the log. [`super::connections::Connections`] writes its
/// own.
pub struct Strangers;

impl<S: Subscriber> Layer<S> for Strangers {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if !event.metadata().target().starts_with(TARGET) {
            return true;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let Message(message) = message;
        if DROP_MESSAGES.iter().any(|start| message.starts_with(start)) {
            DROP_REASON.set(Some(message.trim_start_matches(DROP_MESSAGES[0]).to_owned()));
            return false;
        }
        !message.starts_with(PRECEDING_MESSAGE)
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
