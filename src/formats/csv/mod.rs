//! CSV of Google, Outlook, Thunderbird, Yahoo, LinkedIn, and of any other program with a map of its columns.

pub mod dates;
pub(crate) mod google;
pub(crate) mod layout;
pub(crate) mod rows;
mod simple;
pub(crate) mod tables;
pub(crate) mod target;

use crate::formats::csv::dates::DateOrder;
use crate::formats::csv::layout::{ColumnMeaning, CsvLayout};
use crate::formats::csv::rows::{CsvRow, CsvRows, cells};
use crate::formats::csv::simple::Simple;
use crate::formats::detect::Detected;
use crate::formats::draft::Draft;
use crate::vcard::record::{FileRecord, Position, RecordContent, Refusal};

/// The name of cells without a header.
const BEYOND: &str = "(more columns than the header)";
/// Minimum number of phones written as floating-point numbers for a warning, if most phones are.
const SUSPICIOUS: u64 = 3;

/// Reads the rows of a CSV file whose layout is known.
#[derive(Debug)]
pub(crate) struct CsvReader {
    layout: CsvLayout,
    rows: CsvRows,
    /// Number of rows so far, including those before the data.
    passed: u64,
    /// The number of phones, and of those like `4.93023E+11`.
    phones: (u64, u64),
}

impl CsvReader {
    /// A reader for a file with this layout, from its first byte.
    pub(crate) fn new(layout: CsvLayout) -> Self {
        let rows = CsvRows::new(layout.separator);
        Self { layout, rows, passed: 0, phones: (0, 0) }
    }

    /// The detected file.
    pub(crate) fn detected(&self, encoding: Option<&'static str>) -> Detected {
        let CsvLayout { format, variant, separator, charset, order, ref why, .. } = self.layout;
        Detected {
            format,
            variant: Some(variant).filter(|variant| !variant.is_empty()),
            encoding: Some(encoding.unwrap_or(charset.name())),
            separator: Some(char::from(separator)),
            date_order: Some(order),
            why: why.clone(),
        }
    }

    /// The header row, for a file of refused rows.
    pub(crate) fn header(&self) -> &[u8] {
        &self.layout.header
    }

    /// Further notes for the report.
    pub(crate) fn notes(&self) -> Vec<String> {
        let (phones, broken) = self.phones;
        if broken < SUSPICIOUS || broken * 2 <= phones {
            return Vec::new();
        }
        vec![format!(
            "suspicious: {broken} of {phones} phones look like 4.93023E+11. A spreadsheet wrote them as numbers, and their digits \
             are lost."
        )]
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.rows.push(bytes);
    }

    /// Marks the end of the file.
    pub(crate) fn finish(&mut self) {
        self.rows.finish();
    }

    /// The next row with content.
    pub(crate) fn next_item(&mut self) -> Option<FileRecord> {
        loop {
            let row = self.rows.next_row()?;
            self.passed += 1;
            let before = self.layout.skip as u64;
            if self.passed <= before {
                continue;
            }
            let position = Position { unit: "row", number: self.passed - before, line: row.line };
            if let Some(found) = self.read_row(&row) {
                return Some(FileRecord { position, raw: row.raw, found });
            }
        }
    }

    fn read_row(&mut self, row: &CsvRow) -> Option<RecordContent> {
        let refused =
            |reason, detail: &str| Some(RecordContent::Refused(Refusal { reason, detail: Some(detail.to_owned()) }));
        if row.open {
            return refused("unclosed quote", "A quote is opened here and not closed until the end of the file.");
        }
        if row.too_large {
            return refused("too large", "The row has more than 8 MiB. A quote may not be closed.");
        }
        let charset = self.layout.charset;
        let cells = cells(&row.raw, self.layout.separator);
        let texts: Vec<String> = cells.iter().map(|cell| unguarded(charset.text(cell).trim()).to_owned()).collect();
        if texts.iter().all(String::is_empty) {
            return None;
        }
        Some(self.mapped(&texts))
    }

    fn mapped(&mut self, texts: &[String]) -> RecordContent {
        let CsvLayout { format, columns, order, .. } = &self.layout;
        let mut draft = Draft::new(format.name());
        let mut simple = Simple::default();
        let mut groups = google::NumberedCells::default();
        for (at, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            let Some(column) = columns.get(at) else { break };
            match &column.means {
                ColumnMeaning::Is(target) => simple.cell(&mut draft, *target, &column.name, text, *format, *order),
                ColumnMeaning::Of(entry) => groups.add(entry, &column.name, text.clone()),
            }
        }
        simple.finish(&mut draft);
        groups.map(&mut draft, *order);
        for number in draft.patch.phones.iter().flatten().filter_map(|phone| phone.number.as_deref()) {
            self.phones.0 += 1;
            self.phones.1 += u64::from(is_float(number));
        }
        let beyond = texts.get(columns.len()..).unwrap_or_default().join(",");
        if beyond.bytes().any(|byte| byte != b',') {
            draft.keep(BEYOND, &beyond, None);
        }
        draft.finish()
    }
}

/// A cell without the apostrophe that keeps a spreadsheet from running it. It is removed before `=`, `+`, `-` or `@`,
/// and before further apostrophes and one of these.
pub(crate) fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r']) => rest,
        _ => text,
    }
}

/// Whether a number is written as a floating-point number, like `4.93023E+11`.
fn is_float(number: &str) -> bool {
    let Some((mantissa, exponent)) = number.split_once("E+") else { return false };
    let digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b',');
    digits(mantissa) && digits(exponent)
}

/// The names in `--date-order` and in reports.
impl DateOrder {
    /// The order with this name: `dmy` or `mdy`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "dmy" => Some(Self::DayFirst),
            "mdy" => Some(Self::MonthFirst),
            _ => None,
        }
    }
}
