//! Photos: patterns of five by five fields, mirrored, in two colours, as PNG (ISO/IEC 15948) without compression, so that no
//! library's version changes a byte.

use crate::seed::dice::Dice;

/// Pixels of a side, of a field, and of a row of the picture with its filter's byte.
const SIDE: usize = 40;
const FIELD: usize = SIDE / 5;
const ROW: usize = 1 + 3 * SIDE;

/// A picture.
pub(super) fn drawn(dice: &mut Dice) -> Vec<u8> {
    let light = |dice: &mut Dice| 160 + u8::try_from(dice.below(96)).unwrap_or_default();
    let dark = |dice: &mut Dice| u8::try_from(dice.below(128)).unwrap_or_default();
    let back = [light(dice), light(dice), light(dice)];
    let front = [dark(dice), dark(dice), dark(dice)];
    let pattern = dice.next();
    let mut pixels = Vec::with_capacity(ROW * SIDE);
    for y in 0..SIDE {
        pixels.push(0);
        for x in 0..SIDE {
            let column = x / FIELD;
            let field = y / FIELD * 3 + column.min(4 - column);
            pixels.extend(if pattern >> field & 1 == 1 { front } else { back });
        }
    }
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let side = u32::try_from(SIDE).unwrap_or_default().to_be_bytes();
    // Eight bits of red, green and blue.
    chunk(&mut png, *b"IHDR", &[side.as_slice(), &side, &[8, 2, 0, 0, 0]].concat());
    chunk(&mut png, *b"IDAT", &stored(&pixels));
    chunk(&mut png, *b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], content: &[u8]) {
    let content = [&kind[..], content].concat();
    png.extend(u32::try_from(content.len() - 4).unwrap_or_default().to_be_bytes());
    png.extend_from_slice(&content);
    png.extend(crc(&content).to_be_bytes());
}

/// A stream of zlib (RFC 1950) with one stored block (RFC 1951, 3.2.4).
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    stream.extend_from_slice(bytes);
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}

/// The sum of a chunk (ISO/IEC 15948, annex D).
fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
    let byte = |sum: u32, byte: &u8| (0..8).fold(sum ^ u32::from(*byte), step);
    !bytes.iter().fold(u32::MAX, byte)
}
