//! Huffman tables of a JPEG (T.81, annex C), for decoding by lookup (annex F.2.2.3).

use super::super::error::DecodeError;

/// The number of bits that index the lookup table. Longer codes are rare.
pub(super) const LOOKUP_BITS: u32 = 9;

/// A Huffman table.
pub(super) struct HuffmanTable {
    /// For the next bits of the input: the length of their code and its symbol. A length of 0 means that the
    /// code is longer than [`LOOKUP_BITS`].
    pub(super) lookup: [(u8, u8); 1 << LOOKUP_BITS],
    /// For each code length: the end of its codes, aligned to 16 bits, and the difference between a code and
    /// the index of its symbol. T.81 calls these MAXCODE and VALPTR − MINCODE.
    pub(super) ranges: [(u32, i32); 17],
    pub(super) symbols: Vec<u8>,
}

impl HuffmanTable {
    /// Builds a table from the number of codes of each length and the symbols in the order of their codes
    /// (BITS and HUFFVAL in T.81).
    ///
    /// Errors: more codes of a length than its bits allow.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<HuffmanTable, DecodeError> {
        let mut lookup = [(0, 0); 1 << LOOKUP_BITS];
        let mut ranges = [(0, 0); 17];
        let mut code: u32 = 0;
        let mut index = 0;
        for (length, count) in (1..=16_u8).zip(counts) {
            let first_code = code;
            for symbol in symbols.iter().skip(index).take(usize::from(*count)) {
                if u32::from(length) <= LOOKUP_BITS {
                    // Every continuation of the code yields its symbol.
                    let free_bits = LOOKUP_BITS - u32::from(length);
                    let start = (code << free_bits) as usize;
                    let entries = lookup.get_mut(start..start + (1 << free_bits));
                    entries.ok_or_else(oversubscribed)?.fill((length, *symbol));
                }
                code += 1;
            }
            if code > 1 << length {
                return Err(oversubscribed());
            }
            let offset = i32::try_from(index).unwrap_or_default() - first_code.cast_signed();
            ranges[usize::from(length)] = (code << (16 - length), offset);
            index += usize::from(*count);
            code <<= 1;
        }
        Ok(HuffmanTable {
            lookup,
            ranges,
            symbols: symbols.to_vec(),
        })
    }
}

fn oversubscribed() -> DecodeError {
    DecodeError::corrupt("a Huffman table of the JPEG is oversubscribed")
}
