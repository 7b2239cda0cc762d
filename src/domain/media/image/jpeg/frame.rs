//! The frame header of a JPEG (T.81, B.2.2) and the block counts that follow from it (A.1.1 and A.2).

use std::io::{self, Read};

use super::{super::read_array, SOF2};

/// A frame header.
pub(super) struct Frame {
    pub(super) is_progressive: bool,
    width: u64,
    height: u64,
    pub(super) components: Vec<Component>,
}

/// A colour component, e.g. Y, Cb or Cr.
pub(super) struct Component {
    pub(super) id: u8,
    /// The horizontal sampling factor H.
    pub(super) horizontal: u64,
    /// The vertical sampling factor V.
    pub(super) vertical: u64,
    /// The number of low-order bits of each coefficient, in zigzag order, that no scan has coded yet; `None` if
    /// no scan has coded the coefficient at all.
    pub(super) missing_bits: [Option<u8>; 64],
    /// For each block, a bit mask of its nonzero coefficients. Empty unless a later scan may need it.
    pub(super) nonzero: Vec<u64>,
}

impl Frame {
    /// Reads the parameters after the length of the segment.
    pub(super) fn read(file: &mut impl Read, marker: u8) -> io::Result<Frame> {
        let [_precision, h1, h0, w1, w0, count] = read_array(file)?;
        let mut components = Vec::new();
        for _ in 0..count {
            let [id, factors, _quantization_table] = read_array(file)?;
            components.push(Component {
                id,
                horizontal: u64::from(factors >> 4),
                vertical: u64::from(factors & 15),
                missing_bits: [None; 64],
                nonzero: Vec::new(),
            });
        }
        Ok(Frame {
            is_progressive: marker == SOF2,
            width: u16::from_be_bytes([w1, w0]).into(),
            height: u16::from_be_bytes([h1, h0]).into(),
            components,
        })
    }

    pub(super) fn component_count(&self) -> u8 {
        u8::try_from(self.components.len()).unwrap_or(u8::MAX)
    }

    /// Returns the size of the decoder's coefficient buffers, in bytes: 16 bits per coefficient. The first scan
    /// has `components_in_scan` components.
    pub(super) fn coefficient_memory(&self, components_in_scan: u8) -> u64 {
        if !self.is_progressive && usize::from(components_in_scan) >= self.components.len() {
            return 0;
        }
        let (columns, rows) = self.mcu_grid();
        let per_mcu: u64 = self
            .components
            .iter()
            .map(|component| component.horizontal * component.vertical * 64)
            .sum();
        2 * columns * rows * per_mcu
    }

    /// Returns the largest sampling factors, Hmax and Vmax.
    fn max_factors(&self) -> (u64, u64) {
        let max = |factor: fn(&Component) -> u64| {
            let largest = self.components.iter().map(factor).max();
            largest.unwrap_or(1).max(1)
        };
        (
            max(|component| component.horizontal),
            max(|component| component.vertical),
        )
    }

    /// Returns the columns and rows of minimum coded units (MCU) in an interleaved scan.
    pub(super) fn mcu_grid(&self) -> (u64, u64) {
        let (horizontal, vertical) = self.max_factors();
        (
            self.width.div_ceil(8 * horizontal),
            self.height.div_ceil(8 * vertical),
        )
    }

    /// Returns the columns and rows of blocks in a scan that has only this component. Unlike an interleaved
    /// scan, it does not pad the image to whole MCUs.
    pub(super) fn block_grid(&self, component: &Component) -> (u64, u64) {
        let (horizontal, vertical) = self.max_factors();
        (
            (self.width * component.horizontal).div_ceil(8 * horizontal),
            (self.height * component.vertical).div_ceil(8 * vertical),
        )
    }
}
