//! Where a record begins: the number of its line, as an editor counts.

/// Counts lines up to a place that only moves on.
pub(super) struct Lines<'a> {
    file: &'a [u8],
    at: usize,
    pub(super) line: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        let (at, line) = (0, 1);
        Lines { file, at, line }
    }

    /// Moves on to the first letter of the record that is found from `position` on, behind what is
    /// left of the last line's end and behind empty lines. Returns where that is.
    pub(super) fn begin_at(&mut self, position: u64) -> usize {
        let mut start = usize::try_from(position).unwrap_or(self.file.len());
        while matches!(self.file.get(start), Some(b'\r' | b'\n')) {
            start += 1;
        }
        while self.at < start {
            // `\r\n` is one end, and counts where it ends.
            let ends = match self.file[self.at] {
                b'\n' => true,
                b'\r' => self.file.get(self.at + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(ends);
            self.at += 1;
        }
        start
    }
}

/// Returns whether the text of a last record ends inside a quoted cell.
pub(super) fn ends_in_quotes(record: &[u8], delimiter: u8) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        CellBegins,
        Bare,
        Quoted,
        AfterQuote,
    }
    let end = record.iter().fold(At::CellBegins, |at, byte| match byte {
        b'"' if matches!(at, At::CellBegins | At::AfterQuote) => At::Quoted,
        b'"' if at == At::Quoted => At::AfterQuote,
        _ if at == At::Quoted => At::Quoted,
        b'\r' | b'\n' => At::CellBegins,
        byte if *byte == delimiter => At::CellBegins,
        _ => At::Bare,
    });
    end == At::Quoted
}
