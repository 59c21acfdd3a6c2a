//! CSV files that are not in the corpus: languages, Yahoo, a map of columns, a given format.

use contactd::domain::contact::Properties;
use contactd::formats::csv::dates::DateOrder;
use contactd::formats::detect::{ColumnMap, FileFormat, ReadOptions};
use contactd::formats::reader::FileReader;
use contactd::graph::json::contact::file::GraphFile;
use contactd::vcard::record::{FileRecord, RecordContent};

fn read(file: &str, options: ReadOptions) -> (FileReader, Vec<FileRecord>) {
    let mut reader = FileReader::new(options, &GraphFile);
    reader.push(file.as_bytes());
    reader.finish();
    let items = std::iter::from_fn(|| reader.next_item()).collect();
    (reader, items)
}

fn properties(item: &FileRecord) -> Properties {
    match &item.found {
        RecordContent::Contact(record) => record.patch.clone().into_properties(),
        other => panic!("{other:?}"),
    }
}

/// A header in a language, from the table of a program, and a row with a different text in each column.
fn in_language(table: &str, language: &str, from_table: &str) -> String {
    let mut lines = table.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let languages = lines.next().unwrap();
    let place = |language: &str| languages.iter().position(|known| *known == language).unwrap();
    let (at, from_table) = (place(language), place(from_table));
    let (mut header, mut row) = (Vec::new(), Vec::new());
    for (number, cells) in lines.enumerate() {
        let name = cells[at].split('|').next().unwrap();
        if name.is_empty() || cells[from_table].is_empty() {
            continue;
        }
        header.push(format!("\"{name}\""));
        row.push(match cells[0] {
            "birthday" | "weddingAnniversary" => "1990-12-31".to_owned(),
            "birthday/year" => "1990".to_owned(),
            "birthday/month" | "birthday/day" => "12".to_owned(),
            _ => format!("text {number}"),
        });
    }
    format!("{}\r\n{}\r\n", header.join(","), row.join(","))
}

#[test]
fn outlook_files_in_six_languages_are_read_alike() {
    let table = include_str!("../../src/formats/csv/outlook.tsv");
    for language in ["de", "fr", "es", "nl", "ja"] {
        let (reader, items) = read(&in_language(table, language, language), ReadOptions::default());
        let detected = reader.detected().unwrap();
        assert_eq!((detected.format, detected.variant), (FileFormat::CsvOutlook, Some(language)));
        let (english, in_english) = read(&in_language(table, "en", language), ReadOptions::default());
        assert_eq!(english.detected().unwrap().variant, Some("en"));
        let mut found = properties(&items[0]);
        // The parts of an address have a different order in some languages.
        found.addresses.sort_by_key(|address| address.kind.clone());
        let mut expected = properties(&in_english[0]);
        expected.addresses.sort_by_key(|address| address.kind.clone());
        assert_eq!(found, expected, "{language}");
    }
}

#[test]
fn german_thunderbird_files_are_read_like_english_ones() {
    let table = include_str!("../../src/formats/csv/thunderbird.tsv");
    let (reader, items) =
        read(&in_language(table, "de", "de").replace("\",\"", "\"\t\"").replace(',', "\t"), ReadOptions::default());
    let detected = reader.detected().unwrap();
    assert_eq!(
        (detected.format, detected.variant, detected.separator),
        (FileFormat::CsvThunderbird, Some("de"), Some('\t'))
    );
    let (_, in_english) = read(&in_language(table, "en", "de"), ReadOptions::default());
    assert_eq!(properties(&items[0]), properties(&in_english[0]));
    assert_eq!(properties(&items[0]).birthday.as_deref(), Some("1990-12-12T11:59:00Z"));
}

#[test]
fn yahoo_files_are_read() {
    let header = "\"First\",\"Last\",\"Email\",\"Category\",\"Messenger ID\",\"Home\",\"Yahoo Phone\",\"Title\",\"Work City\",\"Birthday\",\"Skype ID\",\"IRC ID\"";
    let row = "\"Ann\",\"Lee\",\"a@example.org\",\"Friends,VIP\",\"annlee\",\"1\",\"2\",\"Lead\",\"Norwich\",\"7/22/1974\",\"ann\",\"ann42\"";
    let (reader, items) = read(&format!("{header}\n{row}\n"), ReadOptions::default());
    assert_eq!(reader.detected().unwrap().format, FileFormat::CsvYahoo);
    let found = properties(&items[0]);
    assert_eq!(found.categories, ["Friends", "VIP"]);
    assert_eq!(found.im_addresses, ["ymsgr:annlee", "skype:ann"]);
    let kinds: Vec<_> = found.phones.iter().map(|phone| phone.kind.as_deref().unwrap()).collect();
    assert_eq!(kinds, ["home", "other"]);
    assert_eq!(found.addresses[0].city.as_deref(), Some("Norwich"));
    assert_eq!(found.birthday.as_deref(), Some("1974-07-22T11:59:00Z"));
}

#[test]
fn a_column_map_makes_any_header_readable() {
    let mut map = ColumnMap::default();
    map.add("Familienname=surname,Cell=phone/mobile,Born=birthday").unwrap();
    map.add("Town=address/home/city").unwrap();
    let file = "Club members of 2026\nFamilienname;Cell;Born;Town;Shoe Size\nLee;555-0130;3.4.1985;Norwich;43\n";
    let (reader, items) = read(file, ReadOptions { map: map.clone(), ..ReadOptions::default() });
    assert_eq!(reader.detected().unwrap().format, FileFormat::Csv);
    let found = properties(&items[0]);
    assert_eq!(found.phones[0].number.as_deref(), Some("555-0130"));
    assert_eq!(found.birthday.as_deref(), Some("1985-04-03T11:59:00Z"));
    assert_eq!(found.addresses[0].city.as_deref(), Some("Norwich"));
    let (_, items) = read(file, ReadOptions { map, date_order: Some(DateOrder::MonthFirst), ..ReadOptions::default() });
    assert_eq!(properties(&items[0]).birthday.as_deref(), Some("1985-03-04T11:59:00Z"));
}

#[test]
fn a_format_that_is_given_is_not_detected() {
    let file = "First Name,E-mail Address\nAnn,a@example.org\n";
    let refused = |items: &[FileRecord]| match &items[0].found {
        RecordContent::Refused(refusal) => (refusal.reason, refusal.detail.clone().unwrap()),
        other => panic!("{other:?}"),
    };
    let (reason, detail) = refused(&read(file, ReadOptions::default()).1);
    assert_eq!(reason, "not recognised");
    assert_eq!(
        detail,
        "The first row has the columns First Name, E-mail Address. The nearest known format is csv-outlook. Assign them \
         with --map 'Column=property'."
    );
    let (_, items) = read(file, ReadOptions { format: Some(FileFormat::CsvOutlook), ..ReadOptions::default() });
    assert_eq!(properties(&items[0]).emails[0].address.as_deref(), Some("a@example.org"));
    assert!(refused(&read("", ReadOptions::default()).1).1.contains("empty"));
    assert!(refused(&read("[\"vcard\",[]]", ReadOptions::default()).1).1.contains("jCard"));
    let (_, items) = read("Name\nMary Jane van der Berg\n", ReadOptions::default());
    assert_eq!(
        properties(&items[0]).text(contactd::domain::contact::Text::DisplayName),
        Some("Mary Jane van der Berg")
    );
}
