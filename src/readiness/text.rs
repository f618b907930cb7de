//! Bytes of a list to UTF-8: what spreadsheets and consoles write (UTF-8 with and without a byte order mark, UTF-16).

use std::io::{self, Chain, Cursor, Read};

/// A byte that no UTF-8 text holds. It stands where UTF-16 was broken, so that the one check of the text finds it and
/// says in which line and column.
const BROKEN: u8 = 0xFF;

const CHUNK: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16 { little: bool },
}

/// Reads `R` as UTF-8. Does not check UTF-8 that was UTF-8 before.
pub(super) struct ToUtf8<R> {
    input: Chain<Cursor<Vec<u8>>, R>,
    encoding: Encoding,
    /// Half of a code unit at the end of a chunk.
    half: Option<u8>,
    /// A leading surrogate whose trailing one comes next.
    high: Option<u16>,
    ready: Cursor<Vec<u8>>,
}

impl<R: Read> ToUtf8<R> {
    pub(super) fn new(mut input: R) -> io::Result<Self> {
        let mut start = Vec::new();
        input.by_ref().take(4).read_to_end(&mut start)?;
        let (encoding, mark) = match start.as_slice() {
            [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
            [0xFF, 0xFE, ..] => (Encoding::Utf16 { little: true }, 2),
            [0xFE, 0xFF, ..] => (Encoding::Utf16 { little: false }, 2),
            // The first character of a list is ASCII or a letter of a small script.
            [low, 0, ..] if *low != 0 => (Encoding::Utf16 { little: true }, 0),
            [0, low, ..] if *low != 0 => (Encoding::Utf16 { little: false }, 0),
            _ => (Encoding::Utf8, 0),
        };
        start.drain(..mark);
        let input = Cursor::new(start).chain(input);
        Ok(Self { input, encoding, half: None, high: None, ready: Cursor::new(Vec::new()) })
    }

    /// Decodes the next chunk into `ready`; false at the end.
    fn decode(&mut self, little: bool) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        let read = match self.input.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            other => other?,
        };
        self.ready.set_position(0);
        let out = self.ready.get_mut();
        out.clear();
        if read == 0 {
            let broken = self.half.take().is_some() | self.high.take().is_some();
            out.extend(broken.then_some(BROKEN));
            return Ok(broken);
        }
        for &byte in chunk.iter().take(read) {
            let Some(first) = self.half.take() else {
                self.half = Some(byte);
                continue;
            };
            let unit = if little { u16::from_le_bytes([first, byte]) } else { u16::from_be_bytes([first, byte]) };
            if let Some(high) = self.high.take() {
                if let Some(Ok(c)) = char::decode_utf16([high, unit]).next() {
                    push(out, c);
                    continue;
                }
                out.push(BROKEN);
            }
            match char::from_u32(unit.into()) {
                Some(c) => push(out, c),
                None if (0xD800..0xDC00).contains(&unit) => self.high = Some(unit),
                None => out.push(BROKEN),
            }
        }
        Ok(true)
    }
}

impl<R: Read> Read for ToUtf8<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Encoding::Utf16 { little } = self.encoding else { return self.input.read(buf) };
        loop {
            match self.ready.read(buf)? {
                0 if !buf.is_empty() => {
                    if !self.decode(little)? {
                        return Ok(0);
                    }
                }
                read => return Ok(read),
            }
        }
    }
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        ToUtf8::new(bytes).unwrap().read_to_end(&mut out).unwrap();
        out
    }

    fn utf16(text: &str, mark: bool, bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        let mark = mark.then_some(0xFEFF);
        mark.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_that_spreadsheets_write_reads_as_the_same_text() {
        let text = format!("email;name\nann@acme.com;Änn 😀 {}\n", "x😀".repeat(20_000));
        assert_eq!(read(text.as_bytes()), text.as_bytes());
        assert_eq!(read(format!("\u{feff}{text}").as_bytes()), text.as_bytes());
        for mark in [true, false] {
            assert_eq!(read(&utf16(&text, mark, u16::to_le_bytes)), text.as_bytes(), "little endian, mark: {mark}");
            assert_eq!(read(&utf16(&text, mark, u16::to_be_bytes)), text.as_bytes(), "big endian, mark: {mark}");
        }
        for short in ["", "a", "ab", "abc"] {
            assert_eq!(read(short.as_bytes()), short.as_bytes());
        }
    }

    #[test]
    fn broken_utf_16_is_no_text() {
        let bytes = |units: &[u16]| -> Vec<u8> { units.iter().flat_map(|unit| unit.to_le_bytes()).collect() };
        assert_eq!(read(&bytes(&[0xFEFF, 0x61, 0xD800, 0x62])), [0x61, BROKEN, 0x62]);
        assert_eq!(read(&bytes(&[0xFEFF, 0xDC00, 0x62])), [BROKEN, 0x62]);
        assert_eq!(read(&bytes(&[0xFEFF, 0xD83D, 0xD83D, 0xDE00])), [&[BROKEN], "😀".as_bytes()].concat());
        assert_eq!(read(&bytes(&[0xFEFF, 0x61, 0xD800])), [0x61, BROKEN]);
        assert_eq!(read(&[0xFF, 0xFE, 0x61, 0, 0x62]), [0x61, BROKEN], "half a code unit at the end");
    }
}
