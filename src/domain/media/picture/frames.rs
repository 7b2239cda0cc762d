//! Refuses animations: only their first frame would be stored. Those of WebP are found where its frames are
//! measured.

use std::io::{self, BufRead, Seek};

use image::ImageFormat;

use super::{MAX_HEADER, Refusal, cost::take};

/// Errors: `Refusal::Animated` if there is more than one frame.
pub(super) fn check_still(
    source: &mut (impl BufRead + Seek),
    format: ImageFormat,
) -> Result<(), Refusal> {
    source.rewind()?;
    let has_several = match format {
        ImageFormat::Gif => gif_has_several(source)?,
        ImageFormat::Png => png_has_several(source)?,
        _ => false,
    };
    if has_several {
        Err(Refusal::Animated)
    } else {
        Ok(())
    }
}

/// Looks for a second image among the blocks (`GIF89a`, section 17). A file that ends early is left to the
/// decoder.
fn gif_has_several(file: &mut (impl BufRead + Seek)) -> Result<bool, Refusal> {
    const IMAGE: u8 = 0x2c;
    const EXTENSION: u8 = 0x21;
    let [.., flags, _background, _aspect] = take::<13>(file)?;
    skip_colors(file, flags)?;
    let mut images = 0;
    while let Some(block) = file.fill_buf()?.first().copied() {
        file.consume(1);
        match block {
            IMAGE => {
                images += 1;
                if images > 1 {
                    return Ok(true);
                }
                let [.., flags] = take::<9>(file)?;
                skip_colors(file, flags)?;
                let [_code_size] = take(file)?;
            }
            EXTENSION => {
                let [_label] = take(file)?;
            }
            _ => break,
        }
        // The content of both: pieces with a length of one byte, the last one empty.
        loop {
            let Some(length) = file.fill_buf()?.first().copied() else {
                return Ok(false);
            };
            file.seek_relative(1 + i64::from(length))?;
            if length == 0 {
                break;
            }
        }
    }
    Ok(false)
}

/// Skips a table of colours, where the flags promise one.
fn skip_colors(file: &mut impl Seek, flags: u8) -> io::Result<()> {
    if flags & 0x80 != 0 {
        file.seek_relative(3 << ((flags & 7) + 1))?;
    }
    Ok(())
}

/// Whether the frames of an animated PNG (PNG, third edition, section 4.7) and the picture that other
/// programs show are more than one.
fn png_has_several(file: &mut (impl BufRead + Seek)) -> Result<bool, Refusal> {
    let info = png_info(file)?;
    let own = u32::from(info.frame_control.is_none());
    Ok(info
        .animation_control
        .is_some_and(|control| control.num_frames.saturating_add(own) > 1))
}

/// Reads the chunks of a PNG before its pixels.
pub(super) fn png_info(file: &mut (impl BufRead + Seek)) -> Result<png::Info<'static>, Refusal> {
    file.rewind()?;
    let limits = png::Limits {
        bytes: usize::try_from(MAX_HEADER).unwrap_or(usize::MAX),
    };
    let mut decoder = png::Decoder::new_with_limits(file, limits);
    decoder.set_ignore_text_chunk(true);
    let reader = decoder.read_info().map_err(Refusal::broken)?;
    Ok(reader.info().clone())
}
