//! The photo of a contact. Format and size are read from its first bytes; nothing is decoded.

use crate::domain::error::{Error, Kind};
use crate::domain::etag;

/// Longest side, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Most pixels in total: a decoder needs about four bytes for each.
pub const MAX_PIXELS: u64 = 100_000_000;

/// The accepted picture formats. All hold pixels only; SVG is refused because it can hold scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhotoFormat {
    /// `image/jpeg`
    Jpeg,
    /// `image/png`
    Png,
    /// `image/gif`
    Gif,
    /// `image/webp`
    Webp,
}

impl PhotoFormat {
    const ALL: [Self; 4] = [Self::Jpeg, Self::Png, Self::Gif, Self::Webp];

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }

    /// The format with this media type.
    pub fn of(content_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.content_type() == content_type)
    }

    /// The format by the first bytes.
    fn by_signature(bytes: &[u8]) -> Option<Self> {
        let signatures: [(&[u8], Self); 4] = [
            (b"\xff\xd8\xff", Self::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Self::Png),
            (b"GIF87a", Self::Gif),
            (b"GIF89a", Self::Gif),
        ];
        let webp = (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")).then_some(Self::Webp);
        signatures.into_iter().find(|(signature, _)| bytes.starts_with(signature)).map(|(_, format)| format).or(webp)
    }

    /// Width and height, if the header contains them.
    fn measure(self, bytes: &[u8]) -> Option<(u32, u32)> {
        match self {
            Self::Jpeg => jpeg(bytes),
            Self::Png => png(bytes),
            Self::Gif => gif(bytes),
            Self::Webp => webp(bytes),
        }
    }
}

/// Format and size of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// The format.
    pub format: PhotoFormat,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl Picture {
    /// Recognizes a picture by its content; the client's content type is ignored (docs/graph.md, "Photos").
    ///
    /// # Errors
    /// [`Error::UnsupportedMediaType`] for any other format; 400 if the header is truncated or invalid, or the picture has
    /// too many pixels.
    pub fn recognize(bytes: &[u8]) -> Result<Self, Error> {
        let format = PhotoFormat::by_signature(bytes).ok_or_else(|| {
            let message =
                "The photo must be a JPEG, PNG, GIF or WebP picture. Its first bytes match none of these formats.";
            Error::UnsupportedMediaType(message.to_owned())
        })?;
        let (width, height) =
            format.measure(bytes).filter(|(width, height)| *width > 0 && *height > 0).ok_or_else(|| {
                let kind = format.content_type();
                let message = format!("The photo begins as {kind}, but its header is truncated or invalid.");
                Error::invalid(Kind::Body, "", message)
            })?;
        if width.max(height) > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
            let message = format!(
                "The photo has {width} x {height} pixels. At most {MAX_SIDE} on a side and {MAX_PIXELS} in total are allowed."
            );
            return Err(Error::invalid(Kind::Limit, "", message));
        }
        Ok(Self { format, width, height })
    }
}

/// PNG (ISO/IEC 15948), 11.2.1: the first chunk is `IHDR`, of 13 bytes.
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.get(8..33)?;
    let (width, height) = (big(header, 8, 4)?, big(header, 12, 4)?);
    header.starts_with(b"\0\0\0\x0dIHDR").then_some((width, height))
}

/// GIF89a, section 18: the logical screen descriptor follows the signature.
fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    let screen = bytes.get(6..13)?;
    Some((little(screen, 0, 2)?, little(screen, 2, 2)?))
}

/// JPEG (ITU-T T.81), B.2.2: the frame header, after any number of other segments.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let marker = match *bytes.get(at..at + 2)? {
            // Any number of these may precede a marker (B.1.1.2).
            [0xff, 0xff] => {
                at += 1;
                continue;
            }
            [0xff, marker] => marker,
            _ => return None,
        };
        let length = big(bytes, at + 2, 2)?;
        match marker {
            // Frames: baseline, extended, progressive and lossless. A height of 0 means that a later segment has it; such
            // pictures are refused.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let frame = bytes.get(at + 4..at + 2 + usize::try_from(length).ok()?)?;
                return Some((big(frame, 3, 2)?, big(frame, 1, 2)?));
            }
            // Another start, an end, pixels, or a marker without a length: none may precede the frame.
            0x00..=0x01 | 0xd0..=0xda => return None,
            _ if length < 2 => return None,
            _ => at += 2 + usize::try_from(length).ok()?,
        }
    }
}

/// WebP (RFC 9649), 2.5 to 2.7: the first chunk is of one of three kinds.
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    let chunk = bytes.get(20..)?;
    match bytes.get(12..16)? {
        // A key frame of VP8 (RFC 6386, 9.1). The upper two bits of each side are the scale.
        b"VP8 " if chunk.get(3..6)? == b"\x9d\x01\x2a" && chunk.first()? & 1 == 0 => {
            Some((little(chunk, 6, 2)? & 0x3fff, little(chunk, 8, 2)? & 0x3fff))
        }
        b"VP8L" if *chunk.first()? == 0x2f => {
            let bits = little(chunk, 1, 4)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)).filter(|_| bits >> 29 == 0)
        }
        b"VP8X" => Some((little(chunk, 4, 3)? + 1, little(chunk, 7, 3)? + 1)),
        _ => None,
    }
}

/// A big-endian number of up to four bytes.
fn big(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + length)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// A little-endian number of up to four bytes.
fn little(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + length)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// A stored photo without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Photo {
    /// Format and size in pixels.
    pub picture: Picture,
    /// Size in bytes.
    pub size: u64,
    /// The number of its last write in the mailbox.
    pub version: i64,
    /// UTC microseconds.
    pub last_modified_date_time: i64,
}

impl Photo {
    /// The version token, as [`crate::domain::contact::Contact::version_token`].
    pub fn version_token(&self) -> String {
        etag::token(self.last_modified_date_time, self.version)
    }

    /// `W/"<version token>"`.
    pub fn etag(&self) -> String {
        etag::weak(&self.version_token())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(bytes: &[u8]) -> Option<(PhotoFormat, u32, u32)> {
        Picture::recognize(bytes).ok().map(|picture| (picture.format, picture.width, picture.height))
    }

    const VP8: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8 \x0e\0\0\0\x10\0\0\x9d\x01\x2a\x10\x40\x20\x80";
    const VP8L: &[u8] = b"RIFF\x11\0\0\0WEBPVP8L\x05\0\0\0\x2f\x0f\xc0\x07\x10";
    const VP8X: &[u8] = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\x8f\x01\0\x2b\x01\0";
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0abcd";
    const GIF: &[u8] = b"GIF87a\x40\x01\xc8\x00\0\0\0";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xff\xfe\0\x02\xff\xc2\0\x0b\x08\x01\0\x02\0\x01\x01\x11\0";

    #[test]
    fn the_size_is_read_from_every_kind_of_header() {
        for (bytes, expected) in [
            (JPEG, (PhotoFormat::Jpeg, 512, 256)),
            (PNG, (PhotoFormat::Png, 640, 480)),
            (GIF, (PhotoFormat::Gif, 320, 200)),
            // The scale bits are not part of the size.
            (VP8, (PhotoFormat::Webp, 16, 32)),
            (VP8L, (PhotoFormat::Webp, 16, 32)),
            (VP8X, (PhotoFormat::Webp, 400, 300)),
        ] {
            assert_eq!(size(bytes), Some(expected));
            for end in 0..bytes.len() {
                assert_eq!(size(&bytes[..end]), None, "{expected:?} cut off after {end}");
            }
        }
    }

    #[test]
    fn data_that_only_starts_like_a_picture_is_refused() {
        let with = |bytes: &[u8], at: usize, new: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes[at..at + new.len()].copy_from_slice(new);
            bytes
        };
        for (bytes, why) in [
            (b"\x89PNG<html><script>alert(1)</script></html>".to_vec(), "no signature"),
            (b"GIF8<script>alert(1)</script>".to_vec(), "no signature"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "no signature"),
            (with(PNG, 12, b"IDAT"), "another chunk first"),
            (with(PNG, 16, &[0; 4]), "no width"),
            (with(GIF, 8, &[0; 2]), "no height"),
            (with(JPEG, 2, b"\xff\xd9"), "an end before the frame"),
            (with(JPEG, 3, b"\xda"), "pixels before the frame"),
            (with(JPEG, 4, b"\0\0"), "a length that is none"),
            (with(JPEG, 4, b"\xff\xff"), "a length beyond the end"),
            (with(JPEG, 8, b"x"), "no marker"),
            (with(JPEG, 16, b"\0\x06"), "a frame too short"),
            (with(JPEG, 16, b"\0\x01"), "a length that is none"),
            (with(JPEG, 19, b"\0\0"), "no height"),
            (with(VP8, 12, b"ALPH"), "another chunk first"),
            (with(VP8, 20, b"\x11"), "no key frame"),
            (with(VP8, 23, b"abc"), "no start code"),
            (with(VP8L, 20, b"x"), "no signature"),
            (with(VP8L, 24, b"\xff"), "another version"),
        ] {
            assert_eq!(size(&bytes), None, "{why}");
        }
    }

    #[test]
    fn a_picture_of_too_many_pixels_is_refused_and_one_less_is_not() {
        let png = |width: u32, height: u32| {
            let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
            Picture::recognize(&[&PNG[..16], &sides, &PNG[24..]].concat())
        };
        for (width, height) in [(MAX_SIDE, 1), (1, MAX_SIDE), (10_000, 10_000)] {
            assert_eq!(png(width, height).unwrap(), Picture { format: PhotoFormat::Png, width, height });
        }
        for (width, height) in [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (10_001, 10_000), (u32::MAX, u32::MAX)] {
            let Err(Error::Invalid(problems)) = png(width, height) else { panic!("{width} x {height}") };
            assert_eq!(problems[0].kind, Kind::Limit);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_recognised_or_refused(
            mark in proptest::sample::select(vec![JPEG, PNG, GIF, VP8, VP8L, VP8X, b""]),
            kept in 0_usize..40,
            rest in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [&mark[..kept.min(mark.len())], &rest].concat();
            if let Some((_, width, height)) = size(&bytes) {
                prop_assert!((1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height));
            }
        }

        #[test]
        fn any_segments_before_a_frame_are_passed(
            segments in proptest::collection::vec((0xe0_u8..=0xfe, proptest::collection::vec(any::<u8>(), 0..50)), 0..20),
        ) {
            let mut bytes = b"\xff\xd8".to_vec();
            for (marker, content) in segments {
                bytes.extend([0xff, marker]);
                bytes.extend(u16::try_from(content.len() + 2).unwrap().to_be_bytes());
                bytes.extend(content);
            }
            bytes.extend(b"\xff\xc0\0\x0b\x08\0\x10\0\x20\x01\x01\x11\0");
            prop_assert_eq!(size(&bytes), Some((PhotoFormat::Jpeg, 32, 16)));
        }
    }
}
