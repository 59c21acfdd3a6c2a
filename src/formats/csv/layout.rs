//! Detects the layout of a CSV file: its separator, its header row, the program of the columns, and the order of dates.

use std::collections::HashMap;

use crate::formats::charset::Charset;
use crate::formats::csv::dates::{self, DateOrder};
use crate::formats::csv::google::{self, NumberedColumn};
use crate::formats::csv::rows::{CsvRows, MAX_CELLS, cells};
use crate::formats::csv::tables::{self, HeaderTable};
use crate::formats::csv::target::{ColumnTarget, normalize};
use crate::formats::csv::unguarded;
use crate::formats::detect::{FileFormat, ReadOptions, Unrecognised};

/// Number of rows at the beginning in which the header is searched.
const HEADER_WITHIN: usize = 10;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CsvColumn {
    /// Its header as written, trimmed.
    pub(crate) name: String,
    /// What it means.
    pub(crate) means: ColumnMeaning,
}

/// The meaning of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnMeaning {
    /// It holds this property.
    Is(ColumnTarget),
    /// It is one of Google's numbered columns.
    Of(NumberedColumn),
}

/// The layout of a CSV file.
#[derive(Debug)]
pub(crate) struct CsvLayout {
    pub(crate) format: FileFormat,
    pub(crate) variant: &'static str,
    pub(crate) separator: u8,
    pub(crate) charset: Charset,
    /// Number of rows before the first row of data.
    pub(crate) skip: usize,
    /// The header row as in the file.
    pub(crate) header: Vec<u8>,
    pub(crate) columns: Vec<CsvColumn>,
    pub(crate) order: DateOrder,
    /// Reasons, for the report.
    pub(crate) why: Vec<String>,
}

/// A recognised header row.
struct HeaderMatch {
    format: FileFormat,
    variant: &'static str,
    table: Option<&'static HeaderTable>,
    matched: usize,
    separator: u8,
    charset: Charset,
    skip: usize,
    header: Vec<u8>,
    names: Vec<String>,
    why: String,
}

impl CsvLayout {
    /// Detects the layout from the first bytes of the file.
    ///
    /// # Errors
    /// [`Unrecognised`] if no program's header is among the first rows.
    pub(crate) fn find(sample: &[u8], options: &ReadOptions) -> Result<Self, Unrecognised> {
        let given = options.encoding.map(Charset::explicit);
        let guess = given.unwrap_or_else(|| Charset::guess(sample));
        let found = best(sample, guess, options);
        let pages = || Charset::PAGES.into_iter().filter(|_| given.is_none());
        let found = found.or_else(|| pages().find_map(|page| best(sample, page, options)));
        let Some(found) = found else { return Err(unrecognised(sample, guess)) };
        let columns = columns(&found, options);
        let (order, how) = order(sample, &found, &columns, options);
        Ok(Self {
            format: found.format,
            variant: found.variant,
            separator: found.separator,
            charset: found.charset,
            skip: found.skip + 1,
            header: found.header,
            columns,
            order,
            why: vec![found.why, how],
        })
    }
}

/// The first rows with a separator.
fn first_rows(sample: &[u8], separator: u8, count: usize) -> Vec<Vec<u8>> {
    let mut rows = CsvRows::new(separator);
    rows.push(sample);
    rows.finish();
    std::iter::from_fn(|| rows.next_row()).take(count).map(|row| row.raw).collect()
}

fn names(raw: &[u8], separator: u8, charset: Charset) -> Vec<String> {
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let name = |cell: Vec<u8>| unguarded(charset.text(&cell).trim_matches(blank)).to_owned();
    cells(raw, separator).into_iter().take(MAX_CELLS).map(name).collect()
}

/// The row and the separator with the most known columns.
fn best(sample: &[u8], charset: Charset, options: &ReadOptions) -> Option<HeaderMatch> {
    let mut best: Option<HeaderMatch> = None;
    for separator in [b',', b';', b'\t'] {
        for (skip, header) in first_rows(sample, separator, HEADER_WITHIN).into_iter().enumerate() {
            let names = names(&header, separator, charset);
            let Some((format, table, matched, why)) = recognise(&names, options) else { continue };
            if best.as_ref().is_none_or(|best| matched > best.matched) {
                let variant = match format {
                    FileFormat::CsvGoogle => google::variant(&names),
                    _ => table.map_or("", |table| table.language),
                };
                best =
                    Some(HeaderMatch { format, variant, table, matched, separator, charset, skip, header, names, why });
            }
        }
    }
    best
}

type Recognised = (FileFormat, Option<&'static HeaderTable>, usize, String);

/// The program of a header, the table of its language, the number of known columns, and the reason.
fn recognise(names: &[String], options: &ReadOptions) -> Option<Recognised> {
    let headers: Vec<String> = names.iter().map(|name| normalize(name)).collect();
    let has = |header: &str| headers.iter().any(|known| known == header);
    let mapped = options.map.columns().filter(|column| has(column)).count();
    let found = match options.format {
        Some(FileFormat::Csv) => None,
        Some(format) => table_of(format, &headers).map(|(table, matched)| {
            (format, Some(table), matched, format!("the format is given; {matched} columns are known"))
        }),
        None => by_content(&headers, &has),
    };
    match found {
        Some((format, table, matched, why)) if matched > 0 => Some((format, table, matched + mapped, why)),
        _ if mapped > 0 => Some((FileFormat::Csv, None, mapped, format!("{mapped} columns are named by --map"))),
        // A single column of names is the only header that needs no program.
        _ if options.format.is_none_or(|format| format == FileFormat::Csv) && headers == ["name"] => {
            let table = &tables::google()[0];
            Some((FileFormat::Csv, Some(table), 1, "its only column is 'Name'".to_owned()))
        }
        _ => None,
    }
}

/// The rules in order: the first match decides the program.
fn by_content(headers: &[String], has: &dyn Fn(&str) -> bool) -> Option<Recognised> {
    let sign = |name: &str| format!("it has a column '{name}'");
    if let Some(name) = google::sign(has) {
        let matched = headers.iter().filter(|header| google::entry(header).is_some()).count();
        let table = &tables::google()[0];
        return Some((FileFormat::CsvGoogle, Some(table), matched + table.matches(headers), sign(name)));
    }
    for (table, email) in tables::thunderbird().iter().zip(["primary email", "primäre e-mail-adresse"]) {
        let matched = table.matches(headers);
        if headers.len() > 20 && matched * 5 >= headers.len() * 4 && has(email) {
            return Some((
                FileFormat::CsvThunderbird,
                Some(table),
                matched,
                format!("{matched} columns are Thunderbird's"),
            ));
        }
    }
    if has("connected on") && has("position") {
        let table = &tables::linkedin()[0];
        return Some((FileFormat::CsvLinkedIn, Some(table), table.matches(headers), sign("Connected On")));
    }
    if has("messenger id") || has("yahoo phone") {
        let table = &tables::yahoo()[0];
        return Some((FileFormat::CsvYahoo, Some(table), table.matches(headers), sign("Messenger ID")));
    }
    let (table, matched) = table_of(FileFormat::CsvOutlook, headers)?;
    let why = format!("{matched} columns are Outlook's in the language '{}'", table.language);
    (matched >= 3).then_some((FileFormat::CsvOutlook, Some(table), matched, why))
}

/// The table of a program in the language that knows the most columns; English wins a tie.
fn table_of(format: FileFormat, headers: &[String]) -> Option<(&'static HeaderTable, usize)> {
    let tables = match format {
        FileFormat::CsvGoogle => tables::google(),
        FileFormat::CsvOutlook => tables::outlook(),
        FileFormat::CsvThunderbird => tables::thunderbird(),
        FileFormat::CsvYahoo => tables::yahoo(),
        FileFormat::CsvLinkedIn => tables::linkedin(),
        _ => return None,
    };
    let mut best: Option<(&HeaderTable, usize)> = None;
    for table in tables {
        let matched = table.matches(headers);
        if best.is_none_or(|(_, most)| matched > most) {
            best = Some((table, matched));
        }
    }
    best
}

/// The meaning of each column.
fn columns(found: &HeaderMatch, options: &ReadOptions) -> Vec<CsvColumn> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let english = (found.format == FileFormat::CsvOutlook).then(|| &tables::outlook()[0]);
    let column = |name: &String| {
        let header = normalize(name);
        let nth = seen.entry(header.clone()).or_default();
        let place = *nth;
        *nth += 1;
        let entry = (found.format == FileFormat::CsvGoogle && place == 0).then(|| google::entry(&header)).flatten();
        let of = |table: Option<&HeaderTable>| table.and_then(|table| table.target(&header, place));
        let means = match (options.map.target(&header), entry) {
            (Some(target), _) => ColumnMeaning::Is(target),
            (None, Some(entry)) => ColumnMeaning::Of(entry),
            (None, None) => ColumnMeaning::Is(of(found.table).or_else(|| of(english)).unwrap_or(ColumnTarget::Aside)),
        };
        CsvColumn { name: name.clone(), means }
    };
    found.names.iter().map(column).collect()
}

/// The order of day and month, and why.
fn order(sample: &[u8], found: &HeaderMatch, columns: &[CsvColumn], options: &ReadOptions) -> (DateOrder, String) {
    let told = |order: DateOrder, why: &str| (order, format!("date order: {}, {why}", order.words()));
    if let Some(order) = options.date_order {
        return told(order, "as given");
    }
    let dates: Vec<usize> =
        columns.iter().enumerate().filter(|(_, column)| google::is_date(&column.means)).map(|(at, _)| at).collect();
    let (mut day, mut month, mut dots) = (0, 0, false);
    if !dates.is_empty() {
        let rows = first_rows(sample, found.separator, usize::MAX);
        for row in rows.iter().skip(found.skip + 1) {
            let cells = cells(row, found.separator);
            for text in dates.iter().filter_map(|at| cells.get(*at)) {
                let (vote, dotted) = dates::vote(&found.charset.text(text));
                dots |= dotted;
                day += usize::from(vote == Some(DateOrder::DayFirst));
                month += usize::from(vote == Some(DateOrder::MonthFirst));
            }
        }
    }
    match day.cmp(&month) {
        std::cmp::Ordering::Greater => {
            told(DateOrder::DayFirst, &format!("because {day} dates are valid in this order only"))
        }
        std::cmp::Ordering::Less => {
            told(DateOrder::MonthFirst, &format!("because {month} dates are valid in this order only"))
        }
        std::cmp::Ordering::Equal if dots => told(DateOrder::DayFirst, "because dots separate the parts"),
        std::cmp::Ordering::Equal if matches!(found.variant, "en" | "new" | "old") => {
            told(DateOrder::MonthFirst, "by language")
        }
        std::cmp::Ordering::Equal => told(DateOrder::DayFirst, "by language"),
    }
}

/// Describes a file without a known header.
fn unrecognised(sample: &[u8], charset: Charset) -> Unrecognised {
    let mut separator = b',';
    let mut headers = Vec::new();
    for candidate in [b',', b';', b'\t'] {
        let first = first_rows(sample, candidate, HEADER_WITHIN).into_iter().find(|row| !row.trim_ascii().is_empty());
        let names = first.map(|row| names(&row, candidate, charset)).unwrap_or_default();
        if names.len() > headers.len() {
            (separator, headers) = (candidate, names);
        }
    }
    let normal: Vec<String> = headers.iter().map(|name| normalize(name)).collect();
    let programs = [
        FileFormat::CsvOutlook,
        FileFormat::CsvGoogle,
        FileFormat::CsvThunderbird,
        FileFormat::CsvYahoo,
        FileFormat::CsvLinkedIn,
    ];
    let near = programs.into_iter().filter_map(|format| Some((format, table_of(format, &normal)?.1)));
    let nearest =
        near.filter(|(_, matched)| *matched > 0).max_by_key(|(_, matched)| *matched).map(|(format, _)| format);
    Unrecognised { encoding: charset.name(), separator: Some(char::from(separator)), headers, nearest, sentence: None }
}
