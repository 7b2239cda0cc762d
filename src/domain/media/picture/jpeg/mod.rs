//! The structure of a JPEG file (ITU-T T.81): how much memory decoding takes, and whether all pixels are
//! in the file. The decoder fills what is missing with grey and reports no error.

mod entropy;

use std::io::{self, Read, Seek};

use self::entropy::{Bits, Block, Table};
use super::{Refusal, cost::take};

const SOF0: u8 = 0xc0;
const SOF2: u8 = 0xc2;
const DHT: u8 = 0xc4;
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DRI: u8 = 0xdd;

/// The marker at the end of a file.
pub(super) const END: [u8; 2] = [0xff, EOI];

/// How many scans are read: the limit of the decoder for progressive pictures.
const MAX_SCANS: usize = 100;

/// The coefficients that a decoder keeps for the whole picture, in bytes: 16 bits for each sample of each
/// component, unless one baseline scan holds all components.
pub(super) fn coefficients(file: &mut (impl Read + Seek)) -> Result<u64, Refusal> {
    let mut frame: Option<Frame> = None;
    file.rewind()?;
    if take(file)? != [0xff, SOI] {
        return Err(Refusal::broken("a JPEG begins with SOI"));
    }
    loop {
        // As the decoder does, skip bytes between segments, and fill bytes before a marker.
        while take(file)? != [0xff] {}
        let mut marker = [0xff];
        while marker == [0xff] {
            marker = take(file)?;
        }
        let [marker] = marker;
        if marker == 0 {
            continue;
        }
        let length = u16::from_be_bytes(take(file)?);
        let mut rest = length.checked_sub(2).ok_or_else(no_length)?;
        match marker {
            SOF0..=SOF2 if frame.is_none() => {
                let read = Frame::read(file, marker)?;
                rest = rest.saturating_sub(6 + 3 * u16::from(read.count()));
                frame = Some(read);
            }
            SOS => {
                let [scanned] = take(file)?;
                return Ok(frame.ok_or_else(no_frame)?.coefficients(scanned));
            }
            _ => {}
        }
        file.seek_relative(rest.into())?;
    }
}

fn no_length() -> Refusal {
    Refusal::broken("a segment of the JPEG has no length")
}

fn no_frame() -> Refusal {
    Refusal::broken("a JPEG without a frame")
}

/// Checks that every scan holds all its blocks, and that the scans describe every component. Only the end
/// marker may be missing, if the scans then describe every coefficient to its last bit: there is no way to
/// know which other scans were lost with the marker. Returns whether it is there.
pub(super) fn check_complete(file: &[u8]) -> Result<bool, Refusal> {
    let mut walk = Walk {
        file,
        at: 0,
        dc: [const { None }; 4],
        ac: [const { None }; 4],
        restart_interval: 0,
        frame: None,
        scans: 0,
    };
    walk.run()
}

/// The header of a frame.
struct Frame {
    is_progressive: bool,
    width: u64,
    height: u64,
    components: Vec<Component>,
}

struct Component {
    id: u8,
    /// The horizontal and vertical sampling factors.
    across: u64,
    down: u64,
    /// How many low bits of each coefficient are still unknown; `None` where no scan has described it.
    unknown_bits: [Option<u8>; 64],
    /// The coefficients of each block that are not zero, as bits. Empty in a sequential picture.
    blocks: Vec<u64>,
}

impl Frame {
    fn read(file: &mut impl Read, marker: u8) -> io::Result<Frame> {
        let [_precision, h1, h0, w1, w0, count] = take(file)?;
        let mut components = Vec::new();
        for _ in 0..count {
            let [id, factors, _table] = take(file)?;
            components.push(Component {
                id,
                across: u64::from(factors >> 4),
                down: u64::from(factors & 15),
                unknown_bits: [None; 64],
                blocks: Vec::new(),
            });
        }
        Ok(Frame {
            is_progressive: marker == SOF2,
            width: u16::from_be_bytes([w1, w0]).into(),
            height: u16::from_be_bytes([h1, h0]).into(),
            components,
        })
    }

    fn count(&self) -> u8 {
        u8::try_from(self.components.len()).unwrap_or(u8::MAX)
    }

    /// In bytes, where the first scan holds so many components.
    fn coefficients(&self, scanned: u8) -> u64 {
        if !self.is_progressive && usize::from(scanned) >= self.components.len() {
            return 0;
        }
        let (mcus_across, mcus_down) = self.mcus();
        let samples: u64 = self
            .components
            .iter()
            .map(|it| it.across * it.down * 64)
            .sum();
        2 * mcus_across * mcus_down * samples
    }

    /// The largest sampling factors.
    fn factors(&self) -> (u64, u64) {
        let most = |factor: fn(&Component) -> u64| self.components.iter().map(factor).max();
        let (across, down) = (most(|it| it.across), most(|it| it.down));
        (across.unwrap_or(1).max(1), down.unwrap_or(1).max(1))
    }

    /// How many units of interleaved components (MCU) a picture has across and down.
    fn mcus(&self) -> (u64, u64) {
        let (across, down) = self.factors();
        (
            self.width.div_ceil(8 * across),
            self.height.div_ceil(8 * down),
        )
    }

    /// How many blocks a scan of that component alone has across and down.
    fn blocks(&self, component: &Component) -> (u64, u64) {
        let (across, down) = self.factors();
        (
            (self.width * component.across).div_ceil(8 * across),
            (self.height * component.down).div_ceil(8 * down),
        )
    }
}

/// A walk through the segments of a file.
struct Walk<'a> {
    file: &'a [u8],
    at: usize,
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart_interval: u64,
    frame: Option<Frame>,
    scans: usize,
}

impl<'a> Walk<'a> {
    fn run(&mut self) -> Result<bool, Refusal> {
        while let Some(marker) = self.marker() {
            match marker {
                // These have no length. Restart markers here follow the last unit of their scan.
                1 | SOI | 0xd0..=0xd7 => continue,
                EOI => {
                    self.finish(|bits| bits[0].is_some())?;
                    return Ok(true);
                }
                _ => {}
            }
            let mut segment = self.segment()?;
            match marker {
                SOF0..=SOF2 if self.frame.is_none() => {
                    self.frame = Some(Frame::read(&mut segment, marker)?);
                }
                DHT => self.tables(segment)?,
                DRI => self.restart_interval = u16::from_be_bytes(take(&mut segment)?).into(),
                SOS => self.scan(segment)?,
                _ => {}
            }
        }
        self.finish(|bits| bits.iter().all(|unknown| *unknown == Some(0)))?;
        Ok(false)
    }

    /// Errors: unless `is_complete` holds for every component.
    fn finish(&self, is_complete: fn(&[Option<u8>; 64]) -> bool) -> Result<(), Refusal> {
        let frame = self.frame.as_ref().ok_or_else(no_frame)?;
        let mut components = frame.components.iter();
        if components.all(|component| is_complete(&component.unknown_bits)) {
            Ok(())
        } else {
            Err(Refusal::Incomplete)
        }
    }

    /// The next marker, behind whatever stands before it.
    fn marker(&mut self) -> Option<u8> {
        loop {
            let rest = self.file.get(self.at..)?;
            self.at += rest.iter().position(|byte| *byte == 0xff)?;
            let rest = self.file.get(self.at..)?;
            let fill = rest.iter().take_while(|byte| **byte == 0xff).count();
            let marker = *rest.get(fill)?;
            self.at += fill + 1;
            if marker != 0 {
                return Some(marker);
            }
        }
    }

    /// The content of a segment.
    fn segment(&mut self) -> Result<&'a [u8], Refusal> {
        let mut rest = self.file.get(self.at..).unwrap_or_default();
        let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
        let length = length.checked_sub(2).ok_or_else(no_length)?;
        self.at += 2 + length;
        rest.get(..length).ok_or(Refusal::Incomplete)
    }

    /// Huffman tables (T.81, B.2.4.2).
    fn tables(&mut self, mut segment: &[u8]) -> Result<(), Refusal> {
        while !segment.is_empty() {
            let [class_and_place] = take(&mut segment)?;
            let counts: [u8; 16] = take(&mut segment)?;
            let size = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = segment.split_at_checked(size).ok_or(Refusal::Incomplete)?;
            segment = rest;
            let tables = if class_and_place >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            let place = usize::from(class_and_place & 15);
            let table = tables.get_mut(place).ok_or_else(no_table)?;
            *table = Some(Table::new(&counts, symbols)?);
        }
        Ok(())
    }

    /// Reads the header of a scan (T.81, B.2.3) and all blocks behind it.
    fn scan(&mut self, mut header: &[u8]) -> Result<(), Refusal> {
        let frame = self.frame.as_mut().ok_or_else(no_frame)?;
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return Err(Refusal::broken("a JPEG with too many scans"));
        }
        let [count] = take(&mut header)?;
        let mut scanned = Vec::new();
        for _ in 0..count {
            let [id, tables] = take(&mut header)?;
            let index = frame
                .components
                .iter()
                .position(|component| component.id == id);
            let index = index.ok_or_else(|| Refusal::broken("a scan of an unknown component"))?;
            scanned.push((index, usize::from(tables >> 4), usize::from(tables & 15)));
        }
        let [first, last, approximation] = take(&mut header)?;
        let block = if frame.is_progressive {
            Block::progressive(first, last, approximation)?
        } else {
            Block::sequential()
        };
        if block.range.start > 0 && scanned.len() > 1 {
            return Err(Refusal::broken(
                "a scan mixes the coefficients of components",
            ));
        }
        let (mcus_across, mcus_down) = frame.mcus();
        for (index, ..) in &scanned {
            let component = &mut frame.components[*index];
            for unknown in &mut component.unknown_bits[block.range.clone()] {
                *unknown = Some(block.low_bits);
            }
            let blocks = mcus_across * component.across * mcus_down * component.down;
            if block.needs_history() && component.blocks.is_empty() {
                component.blocks = vec![0; usize::try_from(blocks).unwrap_or_default()];
            }
        }
        let mut bits = Bits::new(self.file.get(self.at..).unwrap_or_default());
        let mut reader = Reader {
            bits: &mut bits,
            block,
            end_of_band: 0,
            interval: self.restart_interval,
            left: self.restart_interval,
        };
        if let [(index, dc, ac)] = scanned[..] {
            let (across, down) = frame.blocks(&frame.components[index]);
            let component = &mut frame.components[index];
            let stride = mcus_across * component.across;
            let tables = (table(&self.dc, dc), table(&self.ac, ac));
            for y in 0..down {
                for x in 0..across {
                    reader.begin_unit()?;
                    let position = usize::try_from(y * stride + x).unwrap_or_default();
                    reader.read(tables, component.blocks.get_mut(position))?;
                }
            }
        } else {
            for _ in 0..mcus_across * mcus_down {
                reader.begin_unit()?;
                for (index, dc, ac) in &scanned {
                    let component = &frame.components[*index];
                    for _ in 0..component.across * component.down {
                        reader.read((table(&self.dc, *dc), table(&self.ac, *ac)), None)?;
                    }
                }
            }
        }
        self.at += bits.position();
        Ok(())
    }
}

fn table(tables: &[Option<Table>; 4], place: usize) -> Option<&Table> {
    tables.get(place)?.as_ref()
}

fn no_table() -> Refusal {
    Refusal::broken("a JPEG without the Huffman table of a scan")
}

/// Reads the blocks of one scan.
struct Reader<'a, 'b> {
    bits: &'b mut Bits<'a>,
    block: Block,
    /// How many blocks follow that have no more coefficients in this scan.
    end_of_band: u32,
    /// The units between two restart markers, 0 for none, and how many are left.
    interval: u64,
    left: u64,
}

impl Reader<'_, '_> {
    /// Passes the restart marker before the next unit, if there must be one.
    fn begin_unit(&mut self) -> Result<(), Refusal> {
        if self.interval > 0 {
            if self.left == 0 {
                self.bits.restart()?;
                self.end_of_band = 0;
                self.left = self.interval;
            }
            self.left -= 1;
        }
        Ok(())
    }

    fn read(
        &mut self,
        (dc, ac): (Option<&Table>, Option<&Table>),
        history: Option<&mut u64>,
    ) -> Result<(), Refusal> {
        let mut unused = 0;
        let history = history.unwrap_or(&mut unused);
        self.block
            .read(self.bits, dc, ac, &mut self.end_of_band, history)
    }
}
