//! Entropy-coded blocks of a JPEG (ITU-T T.81, annexes F and G), read for their length alone.

use std::ops::Range;

use super::{Refusal, no_table};

/// How many bits are looked up at once; longer codes are rare.
const LOOKUP_BITS: u32 = 9;

/// A Huffman table.
pub(super) struct Table {
    /// For the next bits: the length of their code and its symbol; a length of 0 where it is longer.
    lookup: [(u8, u8); 1 << LOOKUP_BITS],
    /// For each length: the first code behind those of that length, aligned to 16 bits, and what to add to
    /// a code for the index of its symbol.
    ends: [(u32, i32); 17],
    symbols: Vec<u8>,
}

impl Table {
    /// From how many codes of each length there are, and their symbols (T.81, annex C).
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Table, Refusal> {
        let mut lookup = [(0, 0); 1 << LOOKUP_BITS];
        let mut ends = [(0, 0); 17];
        let mut code: u32 = 0;
        let mut index = 0;
        for (length, count) in (1..=16_u8).zip(counts) {
            let first = code;
            for symbol in symbols.iter().skip(index).take(usize::from(*count)) {
                if u32::from(length) <= LOOKUP_BITS {
                    let free = LOOKUP_BITS - u32::from(length);
                    let from = (code << free) as usize;
                    let entries = lookup.get_mut(from..from + (1 << free));
                    entries.ok_or_else(overfull)?.fill((length, *symbol));
                }
                code += 1;
            }
            if code > 1 << length {
                return Err(overfull());
            }
            let offset = i32::try_from(index).unwrap_or_default() - first.cast_signed();
            ends[usize::from(length)] = (code << (16 - length), offset);
            index += usize::from(*count);
            code <<= 1;
        }
        Ok(Table {
            lookup,
            ends,
            symbols: symbols.to_vec(),
        })
    }
}

fn overfull() -> Refusal {
    Refusal::broken("a Huffman table with too many codes")
}

/// The bits of a scan, up to the next marker.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, from the highest.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Bits<'a> {
        Bits {
            data,
            at: 0,
            buffer: 0,
            count: 0,
        }
    }

    /// Where reading has come to; never behind a marker.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(byte) = self.data.get(self.at) else {
                return;
            };
            if *byte == 0xff {
                // A zero follows where it is no marker.
                if self.data.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.buffer |= u64::from(*byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Skips so many bits, at most 16. Errors: there are none.
    fn skip(&mut self, bits: u32) -> Result<(), Refusal> {
        if bits > self.count {
            self.fill();
            if bits > self.count {
                return Err(Refusal::Incomplete);
            }
        }
        self.buffer <<= bits;
        self.count -= bits;
        Ok(())
    }

    fn take(&mut self, bits: u32) -> Result<u32, Refusal> {
        if bits == 0 {
            return Ok(0);
        }
        if bits > self.count {
            self.fill();
        }
        let value = self.buffer >> (64 - bits);
        self.skip(bits)?;
        Ok(u32::try_from(value).unwrap_or_default())
    }

    fn symbol(&mut self, table: &Table) -> Result<u8, Refusal> {
        if self.count < 16 {
            self.fill();
        }
        let next = usize::try_from(self.buffer >> (64 - LOOKUP_BITS)).unwrap_or_default();
        let (length, symbol) = table.lookup[next];
        if length > 0 {
            self.skip(length.into())?;
            return Ok(symbol);
        }
        let next = u32::try_from(self.buffer >> 48).unwrap_or_default();
        for length in LOOKUP_BITS + 1..=16 {
            let (end, offset) = table.ends[length as usize];
            if next < end {
                self.skip(length)?;
                let index = (next >> (16 - length)).cast_signed() + offset;
                let symbol = usize::try_from(index)
                    .ok()
                    .and_then(|it| table.symbols.get(it));
                return symbol.copied().ok_or_else(no_code);
            }
        }
        // The zeros behind the last bit may be no code.
        Err(if self.count < 16 {
            Refusal::Incomplete
        } else {
            no_code()
        })
    }

    /// Passes the restart marker (T.81, B.2.1) that must come next; what is left before it is padding.
    pub(super) fn restart(&mut self) -> Result<(), Refusal> {
        (self.buffer, self.count) = (0, 0);
        loop {
            match self.data.get(self.at..).unwrap_or_default() {
                [0xff, 0xd0..=0xd7, ..] => {
                    self.at += 2;
                    return Ok(());
                }
                // Another marker, or the end.
                [0xff, 1..=0xfe, ..] | [] => return Err(Refusal::Incomplete),
                _ => self.at += 1,
            }
        }
    }
}

fn no_code() -> Refusal {
    Refusal::broken("a JPEG with a wrong Huffman code")
}

/// What a scan holds of each block.
pub(super) struct Block {
    /// Which coefficients, in zigzag order.
    pub(super) range: Range<usize>,
    /// How many low bits a later scan brings.
    pub(super) low_bits: u8,
    is_progressive: bool,
    /// Whether an earlier scan brought the higher bits.
    is_refinement: bool,
}

impl Block {
    pub(super) fn sequential() -> Block {
        Block {
            range: 0..64,
            low_bits: 0,
            is_progressive: false,
            is_refinement: false,
        }
    }

    pub(super) fn progressive(first: u8, last: u8, approximation: u8) -> Result<Block, Refusal> {
        let range = usize::from(first)..usize::from(last) + 1;
        if range.is_empty() || range.end > 64 || (first == 0 && last > 0) {
            return Err(Refusal::broken("a scan of coefficients that do not exist"));
        }
        Ok(Block {
            range,
            low_bits: approximation & 15,
            is_progressive: true,
            is_refinement: approximation >> 4 > 0,
        })
    }

    /// Whether it depends on what earlier scans brought, or later scans depend on it.
    pub(super) fn needs_history(&self) -> bool {
        self.range.start > 0
    }

    /// Reads one block; `history` are its coefficients that are not zero, as bits.
    pub(super) fn read(
        &self,
        bits: &mut Bits<'_>,
        dc: Option<&Table>,
        ac: Option<&Table>,
        end_of_band: &mut u32,
        history: &mut u64,
    ) -> Result<(), Refusal> {
        let dc = || dc.ok_or_else(no_table);
        let ac = || ac.ok_or_else(no_table);
        match (
            self.is_progressive,
            self.range.start == 0,
            self.is_refinement,
        ) {
            (false, ..) => sequential(bits, dc()?, ac()?),
            (true, true, false) => constant(bits, dc()?),
            (true, true, true) => bits.skip(1),
            (true, false, false) => self.band(bits, ac()?, end_of_band, history),
            (true, false, true) => self.refine(bits, ac()?, end_of_band, history),
        }
    }

    /// The first bits of a band of coefficients (T.81, G.1.2.2).
    fn band(
        &self,
        bits: &mut Bits<'_>,
        table: &Table,
        end_of_band: &mut u32,
        history: &mut u64,
    ) -> Result<(), Refusal> {
        if *end_of_band > 0 {
            *end_of_band -= 1;
            return Ok(());
        }
        let mut at = self.range.start;
        while at < self.range.end {
            let symbol = bits.symbol(table)?;
            let (run, size) = (symbol >> 4, symbol & 15);
            if size == 0 && run < 15 {
                *end_of_band = (1 << run) - 1 + bits.take(run.into())?;
                break;
            }
            at += usize::from(run);
            if size > 0 {
                bits.skip(size.into())?;
                *history |= 1 << (at & 63);
            }
            at += 1;
        }
        Ok(())
    }

    /// One more bit of a band of coefficients (T.81, G.1.2.3).
    fn refine(
        &self,
        bits: &mut Bits<'_>,
        table: &Table,
        end_of_band: &mut u32,
        history: &mut u64,
    ) -> Result<(), Refusal> {
        let mut at = self.range.start;
        while *end_of_band == 0 && at < self.range.end {
            let symbol = bits.symbol(table)?;
            let (mut run, size) = (symbol >> 4, symbol & 15);
            if size > 0 {
                bits.skip(1)?;
            } else if run < 15 {
                *end_of_band = (1 << run) + bits.take(run.into())?;
                break;
            }
            // Each coefficient on the way that is not zero has a bit here; the run counts the others.
            while at < self.range.end {
                if *history >> at & 1 == 1 {
                    bits.skip(1)?;
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                at += 1;
            }
            if size > 0 && at < self.range.end {
                *history |= 1 << at;
            }
            at += 1;
        }
        if *end_of_band > 0 {
            for at in at..self.range.end {
                bits.skip(u32::from(*history >> at & 1 == 1))?;
            }
            *end_of_band -= 1;
        }
        Ok(())
    }
}

/// A block with all its coefficients (T.81, F.2.2).
fn sequential(bits: &mut Bits<'_>, dc: &Table, ac: &Table) -> Result<(), Refusal> {
    constant(bits, dc)?;
    let mut at = 1;
    while at < 64 {
        let symbol = bits.symbol(ac)?;
        let (run, size) = (symbol >> 4, symbol & 15);
        if size == 0 && run < 15 {
            break;
        }
        bits.skip(size.into())?;
        at += usize::from(run) + 1;
    }
    Ok(())
}

/// The first bits of the constant coefficient.
fn constant(bits: &mut Bits<'_>, table: &Table) -> Result<(), Refusal> {
    let size = bits.symbol(table)?;
    bits.skip(size.min(16).into())
}
