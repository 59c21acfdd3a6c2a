//! Percent-encoding (RFC 3986, section 2.1).

/// Decodes `%XX`. `None` if an escape is broken, or the result is not UTF-8 or contains a NUL character.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// The same for a query string or a form, where `+` is a space.
pub fn form_decode(text: &str) -> Option<String> {
    percent_decode(&text.replace('+', " "))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Encodes everything except the unreserved characters, for a key inside a URL.
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 15] {
                encoded.extend(char::from_digit(u32::from(digit), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn encoding_reads_back(text in "[^\0]*") {
            prop_assert_eq!(form_decode(&percent_encode(&text)), Some(text));
        }

        #[test]
        fn decoding_never_panics(text in "(%|[0-9a-fA-F]|\\PC)*") {
            form_decode(&text);
        }
    }

    #[test]
    fn broken_escapes_bad_utf8_and_nul_are_refused() {
        for text in ["%", "%2", "%zz", "%+1", "%ff", "%00", "%c3%28"] {
            assert_eq!(percent_decode(text), None, "{text}");
        }
        assert_eq!(form_decode("a+b%2B").as_deref(), Some("a b+"));
        assert_eq!(percent_decode("a+b%2B").as_deref(), Some("a+b+"));
    }
}
