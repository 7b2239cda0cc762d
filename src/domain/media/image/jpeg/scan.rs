//! Walks the segments of a JPEG and checks that its scans are complete.

use super::{
    super::{error::DecodeError, read_array},
    DHT, DRI, EOI, RST0, RST7, SOF0, SOF2, SOI, SOS, TEM,
    entropy::{BitReader, BlockCoding},
    frame::Frame,
    huffman::HuffmanTable,
    invalid_length, no_frame, no_table,
};

/// The maximum number of scans; the same as that of the decoder for progressive images.
const MAX_SCANS: usize = 100;

/// Checks that every scan has all its blocks, and that the scans cover every component. Returns whether the
/// file has an EOI marker.
///
/// A file may lack the EOI marker only if its scans code every coefficient to the last bit. Otherwise more
/// scans may have followed.
///
/// Errors: `Incomplete`, or `Corrupt`.
pub(in super::super) fn check_complete(file: &[u8]) -> Result<bool, DecodeError> {
    let mut parser = Parser {
        file,
        position: 0,
        dc_tables: [const { None }; 4],
        ac_tables: [const { None }; 4],
        restart_interval: 0,
        frame: None,
        scans: 0,
    };
    parser.run()
}

struct Parser<'a> {
    file: &'a [u8],
    position: usize,
    dc_tables: [Option<HuffmanTable>; 4],
    ac_tables: [Option<HuffmanTable>; 4],
    /// The number of MCUs between restart markers; 0 without them.
    restart_interval: u64,
    frame: Option<Frame>,
    scans: usize,
}

impl<'a> Parser<'a> {
    fn run(&mut self) -> Result<bool, DecodeError> {
        while let Some(marker) = self.next_marker() {
            match marker {
                // These markers have no segment. A restart marker here follows the last MCU of a scan.
                TEM | SOI | RST0..=RST7 => continue,
                EOI => {
                    self.check_components(|missing_bits| missing_bits[0].is_some())?;
                    return Ok(true);
                }
                _ => {}
            }
            let mut segment = self.read_segment()?;
            match marker {
                SOF0..=SOF2 if self.frame.is_none() => {
                    self.frame = Some(Frame::read(&mut segment, marker)?);
                }
                DHT => self.read_huffman_tables(segment)?,
                DRI => self.restart_interval = u16::from_be_bytes(read_array(&mut segment)?).into(),
                SOS => self.read_scan(segment)?,
                _ => {}
            }
        }
        self.check_components(|missing_bits| missing_bits.iter().all(|bits| *bits == Some(0)))?;
        Ok(false)
    }

    /// Errors: `Incomplete` unless `is_complete` holds for every component.
    fn check_components(
        &self,
        is_complete: fn(&[Option<u8>; 64]) -> bool,
    ) -> Result<(), DecodeError> {
        let frame = self.frame.as_ref().ok_or_else(no_frame)?;
        let mut components = frame.components.iter();
        if components.all(|component| is_complete(&component.missing_bits)) {
            Ok(())
        } else {
            Err(DecodeError::Incomplete)
        }
    }

    /// Moves past the next marker and returns its code. Skips other bytes, stuffed bytes and fill bytes.
    fn next_marker(&mut self) -> Option<u8> {
        loop {
            let rest = self.file.get(self.position..)?;
            self.position += rest.iter().position(|byte| *byte == 0xff)?;
            let rest = self.file.get(self.position..)?;
            let fill = rest.iter().take_while(|byte| **byte == 0xff).count();
            let marker = *rest.get(fill)?;
            self.position += fill + 1;
            if marker != 0 {
                return Some(marker);
            }
        }
    }

    /// Returns the parameters of the segment at the current position, and moves past it.
    fn read_segment(&mut self) -> Result<&'a [u8], DecodeError> {
        let mut rest = self.file.get(self.position..).unwrap_or_default();
        let length = usize::from(u16::from_be_bytes(read_array(&mut rest)?));
        let length = length.checked_sub(2).ok_or_else(invalid_length)?;
        self.position += 2 + length;
        rest.get(..length).ok_or(DecodeError::Incomplete)
    }

    /// Reads a DHT segment (T.81, B.2.4.2).
    fn read_huffman_tables(&mut self, mut segment: &[u8]) -> Result<(), DecodeError> {
        while !segment.is_empty() {
            let [class_and_destination] = read_array(&mut segment)?;
            let counts: [u8; 16] = read_array(&mut segment)?;
            let size = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = segment
                .split_at_checked(size)
                .ok_or(DecodeError::Incomplete)?;
            segment = rest;
            let tables = if class_and_destination >> 4 == 0 {
                &mut self.dc_tables
            } else {
                &mut self.ac_tables
            };
            let destination = usize::from(class_and_destination & 15);
            let table = tables.get_mut(destination).ok_or_else(no_table)?;
            *table = Some(HuffmanTable::new(&counts, symbols)?);
        }
        Ok(())
    }

    /// Reads a scan header (T.81, B.2.3), and skips all blocks of the scan.
    fn read_scan(&mut self, mut header: &[u8]) -> Result<(), DecodeError> {
        let frame = self.frame.as_mut().ok_or_else(no_frame)?;
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return Err(DecodeError::corrupt("the JPEG has too many scans"));
        }
        let [count] = read_array(&mut header)?;
        // The index of each component in the frame, and the destinations of its DC and AC tables.
        let mut scanned = Vec::new();
        for _ in 0..count {
            let [id, tables] = read_array(&mut header)?;
            let index = frame
                .components
                .iter()
                .position(|component| component.id == id);
            let unknown = || DecodeError::corrupt("a scan of the JPEG has an unknown component");
            let index = index.ok_or_else(unknown)?;
            scanned.push((index, usize::from(tables >> 4), usize::from(tables & 15)));
        }
        let [start, end, approximation] = read_array(&mut header)?;
        let coding = if frame.is_progressive {
            BlockCoding::progressive(start, end, approximation)?
        } else {
            BlockCoding::sequential()
        };
        if coding.range.start > 0 && scanned.len() > 1 {
            return Err(DecodeError::corrupt(
                "a scan of the JPEG interleaves AC coefficients",
            ));
        }
        let (columns, rows) = frame.mcu_grid();
        for (index, ..) in &scanned {
            let component = &mut frame.components[*index];
            for bits in &mut component.missing_bits[coding.range.clone()] {
                *bits = Some(coding.missing_bits);
            }
            let blocks = columns * component.horizontal * rows * component.vertical;
            if coding.tracks_nonzero() && component.nonzero.is_empty() {
                component.nonzero = vec![0; usize::try_from(blocks).unwrap_or_default()];
            }
        }
        let mut bits = BitReader::new(self.file.get(self.position..).unwrap_or_default());
        let mut scan = Scan {
            bits: &mut bits,
            coding,
            end_of_band_run: 0,
            restart_interval: self.restart_interval,
            until_restart: self.restart_interval,
        };
        let tables = |dc, ac| (table(&self.dc_tables, dc), table(&self.ac_tables, ac));
        if let [(index, dc, ac)] = scanned[..] {
            // Not interleaved: an MCU is one block.
            let (block_columns, block_rows) = frame.block_grid(&frame.components[index]);
            let component = &mut frame.components[index];
            let stride = columns * component.horizontal;
            for y in 0..block_rows {
                for x in 0..block_columns {
                    scan.start_mcu()?;
                    let block = usize::try_from(y * stride + x).unwrap_or_default();
                    scan.skip_block(tables(dc, ac), component.nonzero.get_mut(block))?;
                }
            }
        } else {
            for _ in 0..columns * rows {
                scan.start_mcu()?;
                for (index, dc, ac) in &scanned {
                    let component = &frame.components[*index];
                    for _ in 0..component.horizontal * component.vertical {
                        scan.skip_block(tables(*dc, *ac), None)?;
                    }
                }
            }
        }
        self.position += bits.position();
        Ok(())
    }
}

fn table(tables: &[Option<HuffmanTable>; 4], destination: usize) -> Option<&HuffmanTable> {
    tables.get(destination)?.as_ref()
}

/// The state while the blocks of one scan are skipped.
struct Scan<'a, 'b> {
    bits: &'b mut BitReader<'a>,
    coding: BlockCoding,
    /// The number of following blocks without coefficients in this scan (EOBRUN).
    end_of_band_run: u32,
    restart_interval: u64,
    /// The number of MCUs until the next restart marker.
    until_restart: u64,
}

impl Scan<'_, '_> {
    /// Skips the restart marker before an MCU, if one must be there.
    fn start_mcu(&mut self) -> Result<(), DecodeError> {
        if self.restart_interval > 0 {
            if self.until_restart == 0 {
                self.bits.restart()?;
                self.end_of_band_run = 0;
                self.until_restart = self.restart_interval;
            }
            self.until_restart -= 1;
        }
        Ok(())
    }

    fn skip_block(
        &mut self,
        (dc, ac): (Option<&HuffmanTable>, Option<&HuffmanTable>),
        nonzero: Option<&mut u64>,
    ) -> Result<(), DecodeError> {
        let mut unused = 0;
        let nonzero = nonzero.unwrap_or(&mut unused);
        self.coding
            .skip_block(self.bits, dc, ac, &mut self.end_of_band_run, nonzero)
    }
}
