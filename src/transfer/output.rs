//! The output of an import: a line of JSON for each record, and the report at the end.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::domain::error::Error;
use crate::domain::import::Imported;
use crate::formats::report::{PositionJson, Report};
use crate::vcard::record::{Fate, Position, PropertyOutcome, Refusal, SAYS_NOTHING, WITH_ITS_VALUE};

/// The outcome of a record.
pub struct ReportLine {
    position: Position,
    outcome: RecordOutcome,
}

enum RecordOutcome {
    Contact(Vec<PropertyOutcome>, Option<Imported>),
    Group(Vec<PropertyOutcome>),
    Refused(Refusal),
}

impl ReportLine {
    pub(super) fn contact(position: Position, outcomes: Vec<PropertyOutcome>) -> Self {
        Self { position, outcome: RecordOutcome::Contact(outcomes, None) }
    }

    pub(super) fn group(position: Position, outcomes: Vec<PropertyOutcome>) -> Self {
        Self { position, outcome: RecordOutcome::Group(outcomes) }
    }

    pub(super) fn refused(position: Position, refusal: Refusal) -> Self {
        Self { position, outcome: RecordOutcome::Refused(refusal) }
    }

    pub(super) fn is_contact(&self) -> bool {
        matches!(self.outcome, RecordOutcome::Contact(..))
    }

    /// Whether it is refused.
    pub fn is_refused(&self) -> bool {
        matches!(self.outcome, RecordOutcome::Refused(_))
    }

    pub(super) fn set_imported(&mut self, done: Imported) {
        if let Imported { refusal: Some(why), .. } = done {
            self.outcome = RecordOutcome::Refused(Refusal { reason: "too much", detail: Some(why) });
        } else if let RecordOutcome::Contact(_, imported) = &mut self.outcome {
            *imported = Some(done);
        }
    }

    /// Counts it in a report.
    pub(super) fn count(&self, report: &mut Report) {
        match &self.outcome {
            RecordOutcome::Contact(outcomes, Some(done)) => report.stored(outcomes, done.effect),
            RecordOutcome::Contact(_, None) => {}
            RecordOutcome::Group(outcomes) => report.group(outcomes),
            RecordOutcome::Refused(refusal) => report.refused(&self.position, refusal.reason, refusal.detail.clone()),
        }
    }

    /// The line as JSON: the place of the record, what was done, and the names that are not mapped as a whole.
    ///
    /// # Errors
    /// [`Error::Internal`]
    pub fn json(&self) -> Result<Value, Error> {
        let at = serde_json::to_value(PositionJson(self.position.clone())).map_err(Error::internal)?;
        let Value::Object(mut line) = at else { return Err(Error::internal("a place is an object")) };
        let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
        match &self.outcome {
            RecordOutcome::Contact(outcomes, done) => {
                if let Some(Imported { id, effect, .. }) = done {
                    put("result", json!(effect.word()));
                    if let Some(id) = id {
                        put("id", json!(id));
                    }
                }
                add_outcomes(&mut line, outcomes);
            }
            RecordOutcome::Group(outcomes) => {
                put("result", json!("group"));
                add_outcomes(&mut line, outcomes);
            }
            RecordOutcome::Refused(Refusal { reason, detail }) => {
                put("result", json!("refused"));
                put("reason", json!(reason));
                if let Some(detail) = detail {
                    put("detail", json!(detail));
                }
            }
        }
        Ok(Value::Object(line))
    }
}

/// Adds the names that are not mapped as a whole, by outcome.
fn add_outcomes(line: &mut Map<String, Value>, outcomes: &[PropertyOutcome]) {
    for PropertyOutcome { name, fate } in outcomes {
        let kind = match fate {
            Fate::Mapped | Fate::Ignored(SAYS_NOTHING) | Fate::Aside(Some(WITH_ITS_VALUE)) => continue,
            Fate::Partial => "partial",
            Fate::Aside(_) => "aside",
            Fate::Ignored(_) => "ignored",
            Fate::Lost(_) => "lost",
        };
        if let Value::Array(names) = line.entry(kind).or_insert_with(|| json!([])) {
            names.push(json!(name));
        }
    }
}

/// The result of an import.
pub struct Totals {
    /// The report on the file.
    pub report: Report,
    /// The import that can be undone; `None` if nothing was written.
    pub run: Option<Uuid>,
}

impl Totals {
    /// Everything, for a machine.
    pub fn json(&self, file: &str) -> Value {
        let mut value = serde_json::to_value(self.report.json(file)).unwrap_or_default();
        if let (Value::Object(members), Some(run)) = (&mut value, self.run) {
            members.insert("import".to_owned(), json!(run));
        }
        value
    }
}
