//! Cells of CSV: quotes, and the apostrophe that keeps a spreadsheet from running a cell as a formula (OWASP, "CSV Injection").

use std::borrow::Cow;

/// Whether a spreadsheet would run the cell, or remove its apostrophe.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// Whether a number is harmless as a formula: with only a plus sign, digits, blanks and `()-./` it is at worst a sum.
fn is_number(cell: &str) -> bool {
    cell.bytes().all(|byte| byte.is_ascii_digit() || b"+ ()-./".contains(&byte))
}

/// The cell, with an apostrophe in front if necessary. `number`: the column holds phones.
pub(crate) fn guard(cell: &str, number: bool) -> Cow<'_, str> {
    if is_formula(cell) && !(number && is_number(cell)) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// Appends a cell in quotes.
pub(crate) fn quoted(cell: &str, row: &mut String) {
    row.push('"');
    row.push_str(&cell.replace('"', "\"\""));
    row.push('"');
}

/// Appends a cell, in quotes if necessary.
pub(crate) fn plain(cell: &str, row: &mut String) {
    let needs = cell.contains([',', '"', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ');
    if needs { quoted(cell, row) } else { row.push_str(cell) }
}

/// A text in windows-1252, for old versions of Outlook. Characters that it does not have become `?` and are counted.
pub fn latin(text: &str, replaced: &mut u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        let mut piece = [0; 4];
        let (encoded, _, lost) = encoding_rs::WINDOWS_1252.encode(c.encode_utf8(&mut piece));
        if lost {
            *replaced += 1;
            bytes.push(b'?');
        } else {
            bytes.extend_from_slice(&encoded);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_gets_an_apostrophe_and_a_number_does_not() {
        let cases = [
            ("=1+1", false, "'=1+1"),
            ("+1+1", false, "'+1+1"),
            ("-x", false, "'-x"),
            ("@x", false, "'@x"),
            ("\t=x", false, "'\t=x"),
            ("'=x", false, "''=x"),
            ("''=x", false, "'''=x"),
            ("'t Hooft", false, "'t Hooft"),
            ("one\n=two", false, "one\n=two"),
            ("+49 (30) 1234-5/6", true, "+49 (30) 1234-5/6"),
            ("+49 30 x1", true, "'+49 30 x1"),
            ("=+4930", true, "'=+4930"),
            ("+49 30", false, "'+49 30"),
            ("", false, ""),
        ];
        for (cell, number, guarded) in cases {
            assert_eq!(guard(cell, number), guarded, "{cell}");
        }
    }

    #[test]
    fn what_windows_1252_does_not_have_is_counted() {
        let mut replaced = 0;
        assert_eq!(latin("Größe €, 山😀", &mut replaced), b"Gr\xf6\xdfe \x80, ??");
        assert_eq!(replaced, 2);
    }
}
