//! Counts lines as editors do, to report where a record starts.

/// Counts lines up to a position that only advances.
pub(super) struct LineCounter<'a> {
    file: &'a [u8],
    position: usize,
    pub(super) line: u64,
}

impl<'a> LineCounter<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        let (position, line) = (0, 1);
        LineCounter {
            file,
            position,
            line,
        }
    }

    /// Advances to the first byte of the record at `position`, skipping the rest of the previous line end and
    /// empty lines. Returns the position of that byte.
    pub(super) fn advance_to(&mut self, position: u64) -> usize {
        let mut start = usize::try_from(position).unwrap_or(self.file.len());
        while matches!(self.file.get(start), Some(b'\r' | b'\n')) {
            start += 1;
        }
        while self.position < start {
            // `\r\n` is one line end, counted at its `\n`.
            let is_line_end = match self.file[self.position] {
                b'\n' => true,
                b'\r' => self.file.get(self.position + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(is_line_end);
            self.position += 1;
        }
        start
    }
}

/// Returns whether the last record ends inside a quoted cell.
pub(super) fn ends_in_quotes(record: &[u8], delimiter: u8) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        CellStart,
        Unquoted,
        Quoted,
        AfterQuote,
    }
    let end = record
        .iter()
        .fold(State::CellStart, |state, byte| match byte {
            b'"' if matches!(state, State::CellStart | State::AfterQuote) => State::Quoted,
            b'"' if state == State::Quoted => State::AfterQuote,
            _ if state == State::Quoted => State::Quoted,
            b'\r' | b'\n' => State::CellStart,
            byte if *byte == delimiter => State::CellStart,
            _ => State::Unquoted,
        });
    end == State::Quoted
}
