//! Generates placeholder images for products: coloured shapes, the same for one seed.

use std::{fs::File, path::Path};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use crate::core::{
    error::{Error, Result},
    rng::Rng,
};

/// Width and height in pixels.
const SIZE: u32 = 480;

const SHAPE_COUNT: usize = 6;

/// A circle or a square.
#[derive(Clone, Copy)]
struct Shape {
    is_circle: bool,
    x: u32,
    y: u32,
    radius: u32,
    colour: Rgb<u8>,
}

impl Shape {
    fn random(rng: &Rng) -> Shape {
        let [kind, red, green, blue] = rng.bytes();
        let below = |bound: u32| u32::try_from(rng.below(bound.into())).unwrap_or_default();
        Shape {
            is_circle: kind % 2 == 0,
            x: below(SIZE),
            y: below(SIZE),
            radius: SIZE / 16 + below(SIZE / 4),
            colour: Rgb([red, green, blue]),
        }
    }

    fn contains(&self, x: u32, y: u32) -> bool {
        let (dx, dy) = (self.x.abs_diff(x), self.y.abs_diff(y));
        if self.is_circle {
            dx * dx + dy * dy <= self.radius * self.radius
        } else {
            dx.max(dy) <= self.radius
        }
    }
}

/// Returns a PNG in an unnamed temporary file in `directory`.
pub(super) fn generate(rng: &Rng, directory: &Path) -> Result<File> {
    let background = rng.bytes().map(|light: u8| 160 + light % 80);
    let shapes: [Shape; SHAPE_COUNT] = std::array::from_fn(|_| Shape::random(rng));
    let pixels = RgbImage::from_fn(SIZE, SIZE, |x, y| {
        let topmost = shapes.iter().rfind(|shape| shape.contains(x, y));
        topmost.map_or(Rgb(background), |shape| shape.colour)
    });
    let mut file = tempfile::tempfile_in(directory).map_err(Error::internal)?;
    DynamicImage::from(pixels)
        .write_to(&mut file, ImageFormat::Png)
        .map_err(Error::internal)?;
    Ok(file)
}
