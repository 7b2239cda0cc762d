//! Entropy-coded segments of a JPEG (T.81, annexes F and G). Blocks are parsed to find their end; the values of
//! their coefficients are skipped.

use std::ops::Range;

use super::{
    super::error::DecodeError,
    RST0, RST7,
    huffman::{HuffmanTable, LOOKUP_BITS},
    no_table,
};

/// Reads the bits of an entropy-coded segment, up to the next marker.
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    position: usize,
    /// The next bits, most significant bit first.
    buffer: u64,
    /// The number of bits in the buffer.
    count: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(data: &'a [u8]) -> BitReader<'a> {
        BitReader {
            data,
            position: 0,
            buffer: 0,
            count: 0,
        }
    }

    /// Returns the current position in the data. It never moves past a marker.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Fills the buffer with at least 57 bits, or up to the next marker.
    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(byte) = self.data.get(self.position) else {
                return;
            };
            if *byte == 0xff {
                // Byte stuffing: 0xff is data if 0x00 follows, else it starts a marker.
                if self.data.get(self.position + 1) != Some(&0) {
                    return;
                }
                self.position += 1;
            }
            self.position += 1;
            self.buffer |= u64::from(*byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Skips up to 16 bits.
    ///
    /// Errors: `Incomplete` at the end of the segment.
    fn skip(&mut self, bits: u32) -> Result<(), DecodeError> {
        if bits > self.count {
            self.fill();
            if bits > self.count {
                return Err(DecodeError::Incomplete);
            }
        }
        self.buffer <<= bits;
        self.count -= bits;
        Ok(())
    }

    /// Reads up to 16 bits (RECEIVE in T.81).
    fn read(&mut self, bits: u32) -> Result<u32, DecodeError> {
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

    /// Reads a Huffman code and returns its symbol (DECODE in T.81).
    fn symbol(&mut self, table: &HuffmanTable) -> Result<u8, DecodeError> {
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
            let (end, offset) = table.ranges[length as usize];
            if next < end {
                self.skip(length)?;
                let index = (next >> (16 - length)).cast_signed() + offset;
                let symbol = usize::try_from(index)
                    .ok()
                    .and_then(|index| table.symbols.get(index));
                return symbol.copied().ok_or_else(invalid_code);
            }
        }
        // After the last bit the buffer holds zeros, which may not be a code.
        Err(if self.count < 16 {
            DecodeError::Incomplete
        } else {
            invalid_code()
        })
    }

    /// Skips the restart marker that must follow (T.81, B.2.1), and the padding before it.
    ///
    /// Errors: `Incomplete` if another marker or the end of the file follows.
    pub(super) fn restart(&mut self) -> Result<(), DecodeError> {
        (self.buffer, self.count) = (0, 0);
        loop {
            match self.data.get(self.position..).unwrap_or_default() {
                [0xff, RST0..=RST7, ..] => {
                    self.position += 2;
                    return Ok(());
                }
                [0xff, 1..=0xfe, ..] | [] => return Err(DecodeError::Incomplete),
                _ => self.position += 1,
            }
        }
    }
}

fn invalid_code() -> DecodeError {
    DecodeError::corrupt("the JPEG has an invalid Huffman code")
}

/// Which part of each block a scan codes.
pub(super) struct BlockCoding {
    /// Spectral selection: the coefficients in zigzag order. 0 is DC, the others are AC.
    pub(super) range: Range<usize>,
    /// Successive approximation (Al): the number of low-order bits that are left to later scans.
    pub(super) missing_bits: u8,
    is_progressive: bool,
    /// Whether the scan adds one bit to coefficients of an earlier scan (Ah > 0).
    is_refinement: bool,
}

impl BlockCoding {
    /// The coding of a sequential scan: complete blocks.
    pub(super) fn sequential() -> BlockCoding {
        BlockCoding {
            range: 0..64,
            missing_bits: 0,
            is_progressive: false,
            is_refinement: false,
        }
    }

    /// Parses the parameters Ss, Se, and Ah with Al of a progressive scan (T.81, B.2.3).
    ///
    /// Errors: an invalid range of coefficients, or one with both DC and AC.
    pub(super) fn progressive(
        start: u8,
        end: u8,
        approximation: u8,
    ) -> Result<BlockCoding, DecodeError> {
        let range = usize::from(start)..usize::from(end) + 1;
        if range.is_empty() || range.end > 64 || (start == 0 && end > 0) {
            return Err(DecodeError::corrupt(
                "a scan of the JPEG has an invalid spectral selection",
            ));
        }
        Ok(BlockCoding {
            range,
            missing_bits: approximation & 15,
            is_progressive: true,
            is_refinement: approximation >> 4 > 0,
        })
    }

    /// Returns whether the length of a block depends on which coefficients earlier scans made nonzero, or can
    /// matter to later scans in this way.
    pub(super) fn tracks_nonzero(&self) -> bool {
        self.range.start > 0
    }

    /// Skips one block, and updates the bit mask of its nonzero coefficients.
    ///
    /// `end_of_band_run` counts the following blocks that have no more coefficients in this scan (EOBRUN).
    pub(super) fn skip_block(
        &self,
        bits: &mut BitReader<'_>,
        dc: Option<&HuffmanTable>,
        ac: Option<&HuffmanTable>,
        end_of_band_run: &mut u32,
        nonzero: &mut u64,
    ) -> Result<(), DecodeError> {
        let dc = || dc.ok_or_else(no_table);
        let ac = || ac.ok_or_else(no_table);
        match (
            self.is_progressive,
            self.range.start == 0,
            self.is_refinement,
        ) {
            (false, ..) => skip_sequential(bits, dc()?, ac()?),
            (true, true, false) => skip_dc(bits, dc()?),
            (true, true, true) => bits.skip(1),
            (true, false, false) => self.skip_ac_first(bits, ac()?, end_of_band_run, nonzero),
            (true, false, true) => self.skip_ac_refinement(bits, ac()?, end_of_band_run, nonzero),
        }
    }

    /// Skips the first scan of a band of AC coefficients (T.81, G.1.2.2).
    fn skip_ac_first(
        &self,
        bits: &mut BitReader<'_>,
        table: &HuffmanTable,
        end_of_band_run: &mut u32,
        nonzero: &mut u64,
    ) -> Result<(), DecodeError> {
        if *end_of_band_run > 0 {
            *end_of_band_run -= 1;
            return Ok(());
        }
        let mut index = self.range.start;
        while index < self.range.end {
            let symbol = bits.symbol(table)?;
            let (run, size) = (symbol >> 4, symbol & 15);
            if size == 0 && run < 15 {
                *end_of_band_run = (1 << run) - 1 + bits.read(run.into())?;
                break;
            }
            index += usize::from(run);
            if size > 0 {
                bits.skip(size.into())?;
                *nonzero |= 1 << (index & 63);
            }
            index += 1;
        }
        Ok(())
    }

    /// Skips a refinement scan of a band of AC coefficients (T.81, G.1.2.3).
    fn skip_ac_refinement(
        &self,
        bits: &mut BitReader<'_>,
        table: &HuffmanTable,
        end_of_band_run: &mut u32,
        nonzero: &mut u64,
    ) -> Result<(), DecodeError> {
        let mut index = self.range.start;
        while *end_of_band_run == 0 && index < self.range.end {
            let symbol = bits.symbol(table)?;
            let (mut run, size) = (symbol >> 4, symbol & 15);
            if size > 0 {
                bits.skip(1)?;
            } else if run < 15 {
                *end_of_band_run = (1 << run) + bits.read(run.into())?;
                break;
            }
            // Every nonzero coefficient has a correction bit. The run counts only the zero ones.
            while index < self.range.end {
                if *nonzero >> index & 1 == 1 {
                    bits.skip(1)?;
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                index += 1;
            }
            if size > 0 && index < self.range.end {
                *nonzero |= 1 << index;
            }
            index += 1;
        }
        if *end_of_band_run > 0 {
            for index in index..self.range.end {
                bits.skip(u32::from(*nonzero >> index & 1 == 1))?;
            }
            *end_of_band_run -= 1;
        }
        Ok(())
    }
}

/// Skips a block of a sequential scan (T.81, F.2.2).
fn skip_sequential(
    bits: &mut BitReader<'_>,
    dc: &HuffmanTable,
    ac: &HuffmanTable,
) -> Result<(), DecodeError> {
    skip_dc(bits, dc)?;
    let mut index = 1;
    while index < 64 {
        let symbol = bits.symbol(ac)?;
        let (run, size) = (symbol >> 4, symbol & 15);
        if size == 0 && run < 15 {
            break;
        }
        bits.skip(size.into())?;
        index += usize::from(run) + 1;
    }
    Ok(())
}

/// Skips the difference of a DC coefficient (T.81, F.2.2.1).
fn skip_dc(bits: &mut BitReader<'_>, table: &HuffmanTable) -> Result<(), DecodeError> {
    let size = bits.symbol(table)?;
    bits.skip(size.min(16).into())
}
