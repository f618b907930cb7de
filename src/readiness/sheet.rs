//! A list: delimited text with a header, read row by row.

use std::io::{self, Chain, Cursor, Read};

use csv::{ErrorKind, StringRecord};

use super::columns::Header;
use super::text::ToUtf8;

/// How much of a list is looked at to tell its delimiter, and the most that may stand before its second row.
const HEAD: usize = 256 * 1024;

const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no delimited text.
    #[error("{0}")]
    NotAList(&'static str),
    /// Its header has not what is needed.
    #[error("the header: {0}")]
    Header(String),
    /// A row is not as it should be.
    #[error("{at}: {problem}")]
    Row {
        /// The row, and the column if it is about one.
        at: Where,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// It could not be read at all.
    #[error("cannot read it")]
    Io(#[source] io::Error),
}

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Where {
    /// Counted from 1, as editors do; where a row spans lines, its first.
    pub line: u64,
    /// Counted from 1, with its title.
    pub column: Option<(usize, String)>,
}

impl std::fmt::Display for Where {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}", self.line)?;
        match &self.column {
            Some((number, title)) => write!(f, ", column {number} ({title})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
impl PartialEq for ReadError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

type Text<R> = Chain<Cursor<Vec<u8>>, ToUtf8<R>>;

/// An open list.
pub(super) struct Sheet<R> {
    rows: csv::Reader<Text<R>>,
    /// Lines before the header.
    skipped: u64,
    pub(super) header: Header,
    record: StringRecord,
}

/// A row of a list.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) line: u64,
    record: &'a StringRecord,
    header: &'a Header,
}

impl<R: Read> Sheet<R> {
    pub(super) fn open(input: R) -> Result<Self, ReadError> {
        let mut text = ToUtf8::new(input).map_err(ReadError::Io)?;
        let mut head = Vec::new();
        text.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(ReadError::Io)?;
        if let Some(what) = not_a_list(&head) {
            return Err(ReadError::NotAList(what));
        }
        let (start, skipped, said) = preamble(&head);
        let delimiter = said.unwrap_or_else(|| delimiter(head.get(start..).unwrap_or_default()));
        let mut head = Cursor::new(head);
        head.set_position(start as u64);
        let mut rows = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(head.chain(text));
        let mut record = StringRecord::new();
        let none = Header::new(Vec::new());
        if !rows.read_record(&mut record).map_err(|error| failure(error, skipped, &none))? {
            return Err(ReadError::NotAList("it is empty"));
        }
        let header = Header::new(record.iter().map(|title| super::print::visible(title.trim()).into_owned()).collect());
        Ok(Self { rows, skipped, header, record })
    }

    /// The next row; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, ReadError> {
        let Self { rows, skipped, header, record } = self;
        if !rows.read_record(record).map_err(|error| failure(error, *skipped, header))? {
            return Ok(None);
        }
        let line = record.position().map_or(0, csv::Position::line) + *skipped;
        Ok(Some(Row { line, record, header }))
    }
}

impl<'a> Row<'a> {
    /// What stands in a column, without the blanks around it; nothing if there is no such column.
    pub(super) fn cell(&self, column: Option<usize>) -> &'a str {
        column.and_then(|column| self.record.get(column)).unwrap_or_default().trim_ascii()
    }

    /// A mistake in a cell of this row.
    pub(super) fn wrong(&self, column: Option<usize>, problem: String) -> ReadError {
        ReadError::Row { at: place(self.line, column, self.header), problem }
    }
}

fn place(line: u64, column: Option<usize>, header: &Header) -> Where {
    let titled = |at: usize| (at + 1, header.titles.get(at).cloned().unwrap_or_default());
    Where { line, column: column.map(titled) }
}

fn failure(error: csv::Error, skipped: u64, header: &Header) -> ReadError {
    let line = |pos: &Option<csv::Position>| pos.as_ref().map_or(0, csv::Position::line) + skipped;
    let (at, problem) = match error.kind() {
        ErrorKind::Utf8 { pos, err } => (
            place(line(pos), Some(err.field()), header),
            String::from(
                "is neither UTF-8 nor UTF-16; save the list again as \"CSV UTF-8\" (PowerShell: -Encoding utf8)",
            ),
        ),
        ErrorKind::UnequalLengths { pos, expected_len, len } => (
            place(line(pos), None, header),
            format!(
                "has {len} cells, the header has {expected_len}; a delimiter or quote inside a cell needs quotes around \
                 the cell"
            ),
        ),
        _ => match error.into_kind() {
            ErrorKind::Io(error) => return ReadError::Io(error),
            other => (Where { line: skipped, column: None }, format!("{other:?}")),
        },
    };
    ReadError::Row { at, problem }
}

fn not_a_list(head: &[u8]) -> Option<&'static str> {
    match head {
        [] => Some("it is empty"),
        [b'P', b'K', 3, 4, ..] | [0xD0, 0xCF, 0x11, 0xE0, ..] => {
            Some("it is a workbook or an archive; save the sheet as \"CSV UTF-8\" and pass that file")
        }
        [0x1F, 0x8B, ..] => Some("it is compressed; unpack it first"),
        [b'{' | b'[', ..] => Some("it looks like JSON; export the list as CSV"),
        [b'<', ..] => Some("it looks like HTML or XML; export the list as CSV"),
        // Further down it is a cell that is not as it should be, and is judged as that.
        _ if head.iter().take_while(|byte| **byte != b'\n').any(|byte| *byte == 0) => {
            Some("it is no text; export the list as CSV")
        }
        _ => None,
    }
}

/// Where the header begins, how many lines stand before it, and the delimiter if the file says it: Excel's `sep=;`,
/// Windows PowerShell's `#TYPE …`, the version line of Entra's templates.
fn preamble(head: &[u8]) -> (usize, u64, Option<u8>) {
    let (mut start, mut lines, mut said) = (0, 0, None);
    while let Some(rest) = head.get(start..) {
        let Some(end) = rest.iter().position(|b| *b == b'\n') else { break };
        let line = rest.get(..end).unwrap_or_default().trim_ascii();
        let begins = |with: &str| line.get(..with.len()).is_some_and(|b| b.eq_ignore_ascii_case(with.as_bytes()));
        if begins("sep=") {
            said = rest.get(4).copied().filter(|b| DELIMITERS.contains(b)).or(said);
        } else if !(begins("#TYPE ") || begins("version:") || line.is_empty()) {
            break;
        }
        start += end + 1;
        lines += 1;
    }
    (start, lines, said)
}

/// The delimiter that the header has most of, outside quotes.
fn delimiter(head: &[u8]) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut quoted = false;
    for byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            byte if !quoted => {
                for (count, delimiter) in counts.iter_mut().zip(DELIMITERS) {
                    *count += usize::from(*byte == delimiter);
                }
            }
            _ => {}
        }
    }
    let best = DELIMITERS.into_iter().zip(counts).rev().max_by_key(|(_, count)| *count);
    best.map_or(b',', |(delimiter, _)| delimiter)
}
