//! Case folding of the `*_key` columns. Rust computes it, so all engines agree.

/// The version of the rule, stored in the `store` table with the keys it made. Under version 1 only some texts had keys;
/// under version 2 there were no search words.
pub(crate) const FOLDING: i64 = 4;

/// Simple case folding, character by character (status C and S of Unicode's CaseFolding.txt), without normalization: `É`
/// equals `é`, `e` differs from `é`, and `ß`, the Turkish `ı` and `İ` stay as they are.
pub(crate) fn fold(text: &str) -> String {
    text.chars()
        .map(|c| unicode_case_mapping::case_folded(c).and_then(|folded| char::from_u32(folded.get())).unwrap_or(c))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn folding_is_simple_and_knows_more_than_ascii() {
        let cases = [
            ("ANN@Example.ORG", "ann@example.org"),
            ("ÉÖЖΣς", "éöжσσ"),
            ("ẞ", "ß"),
            ("ß", "ß"),
            ("ıİ", "ıİ"),
            ("𐐀", "𐐨"),
        ];
        for (text, folded) in cases {
            assert_eq!(fold(text), folded, "{text}");
        }
    }
}
