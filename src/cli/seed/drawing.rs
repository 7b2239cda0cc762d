//! Pictures for products that nobody photographed: a few coloured shapes, the same for one seed.

use std::{fs::File, path::Path};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use crate::core::{
    error::{Error, Result},
    rng::Rng,
};

/// Its width and height, in pixels.
const SIDE: u32 = 480;

const SHAPES: usize = 6;

/// A shape about a point, reaching so far from it.
#[derive(Clone, Copy)]
struct Shape {
    is_round: bool,
    x: u32,
    y: u32,
    reach: u32,
    colour: Rgb<u8>,
}

impl Shape {
    fn drawn(rng: &Rng) -> Shape {
        let [round, red, green, blue] = rng.bytes();
        let upto = |bound: u32| u32::try_from(rng.below(bound.into())).unwrap_or_default();
        Shape {
            is_round: round % 2 == 0,
            x: upto(SIDE),
            y: upto(SIDE),
            reach: SIDE / 16 + upto(SIDE / 4),
            colour: Rgb([red, green, blue]),
        }
    }

    fn covers(&self, x: u32, y: u32) -> bool {
        let (across, down) = (self.x.abs_diff(x), self.y.abs_diff(y));
        if self.is_round {
            across * across + down * down <= self.reach * self.reach
        } else {
            across.max(down) <= self.reach
        }
    }
}

/// A file of a picture, without a name, in that directory.
pub(super) fn draw(rng: &Rng, directory: &Path) -> Result<File> {
    let ground = rng.bytes().map(|light: u8| 160 + light % 80);
    let shapes: [Shape; SHAPES] = std::array::from_fn(|_| Shape::drawn(rng));
    let pixels = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let above = shapes.iter().rfind(|shape| shape.covers(x, y));
        above.map_or(Rgb(ground), |shape| shape.colour)
    });
    let mut file = tempfile::tempfile_in(directory).map_err(Error::internal)?;
    DynamicImage::from(pixels)
        .write_to(&mut file, ImageFormat::Png)
        .map_err(Error::internal)?;
    Ok(file)
}
