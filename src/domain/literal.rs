//! Numbers and GUIDs in texts, and the units of whole numbers.

/// The factor that makes a decimal number whole.
pub(crate) const MILLION: i64 = 1_000_000;
/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400 * MILLION;

/// Reads a decimal number in millionths: up to 12 digits before the point and 6 after it.
pub(crate) fn decimal(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.')?;
    let fits = (1..=12).contains(&whole.len()) && (1..=6).contains(&fraction.len());
    if !fits || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = format!("{fraction:0<6}").parse::<i64>().ok()?;
    Some(sign * (whole.parse::<i64>().ok()? * MILLION + fraction))
}

/// The form of a GUID: `x` is a hexadecimal digit.
pub(crate) const GUID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

/// Whether a text is a GUID in lower case.
pub(crate) fn is_guid(text: &str) -> bool {
    let fits =
        |(byte, form): (u8, u8)| if form == b'x' { matches!(byte, b'0'..=b'9' | b'a'..=b'f') } else { byte == form };
    text.len() == GUID.len() && text.bytes().zip(GUID.bytes()).all(fits)
}
