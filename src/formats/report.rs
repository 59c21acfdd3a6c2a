//! The report of an import, so that no loss is silent (docs/import-export.md, "The report"): the detected format, the
//! outcomes of each name, and the refused records.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Serialize, Serializer};

use crate::domain::import::Effect;
use crate::domain::plain::{printed, shorten};
use crate::formats::detect::Detected;
use crate::vcard::record::{Fate, FileRecord, Position, PropertyOutcome, RecordContent};

/// Maximum number of refused records in a report. Further ones are counted.
const MAX_REFUSED: usize = 10_000;
/// Maximum number of names in a report. Further names are counted together.
const MAX_NAMES: usize = 10_000;
/// The name for those.
const FURTHER: &str = "(further names)";
/// Maximum number of names and refused records in the text for a person.
const SHOWN: usize = 15;

/// The number of records by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "each is the count of its name")]
pub struct RecordCounts {
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub refused: u64,
    pub groups: u64,
}

/// The number of values of a name by outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Fates {
    /// A property holds it.
    #[serde(skip_serializing_if = "is_zero")]
    pub mapped: u64,
    /// A property holds a part; the rest is kept aside.
    #[serde(skip_serializing_if = "is_zero")]
    pub partial: u64,
    /// It is kept aside.
    #[serde(skip_serializing_if = "is_zero")]
    pub aside: u64,
    /// It is left out on purpose.
    #[serde(skip_serializing_if = "is_zero")]
    pub ignored: u64,
    /// It could not be kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// The reasons, with their numbers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub why: BTreeMap<&'static str, u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Fates {
    fn add(&mut self, fate: Fate) {
        let why = match fate {
            Fate::Mapped => (&mut self.mapped, None),
            Fate::Partial => (&mut self.partial, None),
            Fate::Aside(why) => (&mut self.aside, why),
            Fate::Ignored(why) => (&mut self.ignored, Some(why)),
            Fate::Lost(why) => (&mut self.lost, Some(why)),
        };
        *why.0 += 1;
        if let Some(reason) = why.1 {
            *self.why.entry(reason).or_default() += 1;
        }
    }

    fn all(&self) -> u64 {
        self.mapped + self.partial + self.aside + self.ignored + self.lost
    }
}

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Where it stands.
    pub at: PositionJson,
    /// The reason, in a word or two.
    pub reason: &'static str,
    /// The detail, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A place in a file: `{"row": 3, "line": 7}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionJson(pub Position);

impl Serialize for PositionJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Position { unit, number, line } = self.0;
        let line = (unit != "line").then_some(("line", line));
        serializer.collect_map([(unit, number)].into_iter().chain(line))
    }
}

/// The report on a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The detected format, and why.
    pub detected: Option<Detected>,
    /// The number of records by outcome.
    pub counts: RecordCounts,
    /// The outcomes of each name.
    pub names: BTreeMap<String, Fates>,
    /// The refused records, up to 10,000.
    pub refused: Vec<Refused>,
    /// Further notes.
    pub notes: Vec<String>,
}

impl Report {
    /// Counts a record that was stored or existed already. A refused one is counted by [`Report::refused`].
    pub fn stored(&mut self, outcomes: &[PropertyOutcome], effect: Effect) {
        match effect {
            Effect::Created => self.counts.created += 1,
            Effect::Updated => self.counts.updated += 1,
            Effect::Unchanged => self.counts.unchanged += 1,
            Effect::Refused => return,
        }
        self.outcomes(outcomes);
    }

    /// Counts a group.
    pub fn group(&mut self, outcomes: &[PropertyOutcome]) {
        self.counts.groups += 1;
        self.outcomes(outcomes);
    }

    /// Counts a refused record.
    pub fn refused(&mut self, at: &Position, reason: &'static str, detail: Option<String>) {
        self.counts.refused += 1;
        if self.refused.len() < MAX_REFUSED {
            self.refused.push(Refused { at: PositionJson(at.clone()), reason, detail });
        }
    }

    /// Counts a record as if every contact were new, for a dry run without a store.
    pub fn item(&mut self, item: &FileRecord) {
        match &item.found {
            RecordContent::Contact(record) => self.stored(&record.outcomes, Effect::Created),
            RecordContent::Group(group) => self.group(&group.outcomes),
            RecordContent::Refused(refusal) => self.refused(&item.position, refusal.reason, refusal.detail.clone()),
        }
    }

    fn outcomes(&mut self, outcomes: &[PropertyOutcome]) {
        for PropertyOutcome { name, fate } in outcomes {
            if let Some(fates) = self.names.get_mut(name) {
                fates.add(*fate);
                continue;
            }
            let name = if self.names.len() < MAX_NAMES { name.clone() } else { FURTHER.to_owned() };
            self.names.entry(name).or_default().add(*fate);
        }
    }

    /// The text for a person: one screen.
    pub fn text(&self, file: &str) -> String {
        let mut text = printed(file);
        if let Some(detected) = &self.detected {
            let _ = write!(text, ": {}", detected.words());
        }
        let RecordCounts { created, updated, unchanged, refused, groups } = self.counts;
        let _ = write!(text, "\n  {created} created, {updated} updated, {unchanged} unchanged, {refused} refused");
        if groups > 0 {
            let _ = write!(text, ", {groups} groups");
        }
        text.push('\n');
        self.names_text(&mut text);
        for Refused { at: PositionJson(at), reason, detail } in self.refused.iter().take(SHOWN) {
            let _ = write!(text, "  refused: {} {}, line {}: {reason}", at.unit, at.number, at.line);
            let detail = detail.as_deref().map(|detail| format!(". {}", shorten(&printed(detail))));
            text.push_str(&detail.unwrap_or_default());
            text.push('\n');
        }
        if refused > SHOWN as u64 {
            let _ = writeln!(text, "  and {} more were refused", refused - SHOWN as u64);
        }
        for note in &self.notes {
            let _ = writeln!(text, "  {}", printed(note));
        }
        text
    }

    /// The names with values that did not become properties of the contact, the most frequent first.
    fn names_text(&self, text: &mut String) {
        let rest = |fates: &Fates| fates.all() - fates.mapped;
        let mut names: Vec<(&String, &Fates)> = self.names.iter().filter(|(_, fates)| rest(fates) > 0).collect();
        names.sort_by_key(|(_, fates)| std::cmp::Reverse((fates.lost, rest(fates))));
        let mapped: u64 = self.names.values().map(|fates| fates.mapped).sum();
        let all: u64 = self.names.values().map(Fates::all).sum();
        let _ = writeln!(text, "  {mapped} of {all} values became properties of the contacts");
        for (name, fates) in names.iter().take(SHOWN) {
            let counts = [
                ("partly mapped", fates.partial),
                ("kept aside", fates.aside),
                ("ignored", fates.ignored),
                ("LOST", fates.lost),
            ];
            let counts: Vec<String> =
                counts.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")).collect();
            let why: Vec<&str> = fates.why.keys().copied().collect();
            let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join(", ")) };
            let _ = writeln!(text, "  {}: {}{why}", shorten(&printed(name)), counts.join(", "));
        }
        if names.len() > SHOWN {
            let _ = writeln!(text, "  and {} more names, all of them in the report as JSON", names.len() - SHOWN);
        }
    }

    /// Everything, for a machine.
    pub fn json(&self, file: &str) -> impl Serialize {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct ReportJson<'a> {
            file: &'a str,
            detected: Option<DetectedJson<'a>>,
            counts: RecordCounts,
            names: &'a BTreeMap<String, Fates>,
            refused: &'a [Refused],
            notes: &'a [String],
        }
        serde_json::to_value(ReportJson {
            file,
            detected: self.detected.as_ref().map(DetectedJson::of),
            counts: self.counts,
            names: &self.names,
            refused: &self.refused,
            notes: &self.notes,
        })
        .unwrap_or_default()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DetectedJson<'a> {
    format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    separator: Option<char>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_order: Option<&'static str>,
    why: &'a [String],
}

impl<'a> DetectedJson<'a> {
    fn of(detected: &'a Detected) -> Self {
        let Detected { format, variant, encoding, separator, date_order, why } = detected;
        Self {
            format: format.name(),
            dialect: format.dialect(),
            variant: *variant,
            encoding: *encoding,
            separator: *separator,
            date_order: date_order.map(crate::formats::csv::dates::DateOrder::words),
            why,
        }
    }
}

impl Detected {
    /// One line for a person.
    pub fn words(&self) -> String {
        let mut words = vec![self.format.name().to_owned()];
        words.extend(self.variant.map(|variant| format!("variant {variant}")));
        words.extend(self.encoding.map(str::to_owned));
        words.extend(self.separator.map(|separator| match separator {
            '\t' => "separated by tabs".to_owned(),
            other => format!("separated by '{other}'"),
        }));
        words.extend(self.why.iter().cloned());
        words.join("; ")
    }
}
