//! Rejects animated GIF and PNG files, of which only the first frame would be stored. `webp` rejects animated
//! WebP files.

use std::io::{self, BufRead, Seek};

use image::ImageFormat;

use super::{error::DecodeError, png_header, read_array};

/// Errors: `DecodeError::Animated` if there is more than one frame.
pub(super) fn check_single_frame(
    source: &mut (impl BufRead + Seek),
    format: ImageFormat,
) -> Result<(), DecodeError> {
    source.rewind()?;
    let is_animated = match format {
        ImageFormat::Gif => gif_is_animated(source)?,
        ImageFormat::Png => png_is_animated(source)?,
        _ => false,
    };
    if is_animated {
        Err(DecodeError::Animated)
    } else {
        Ok(())
    }
}

/// Returns whether a GIF has a second Image Descriptor (`GIF89a`, section 20). A truncated file is left to the
/// decoder.
fn gif_is_animated(file: &mut (impl BufRead + Seek)) -> Result<bool, DecodeError> {
    const IMAGE_DESCRIPTOR: u8 = 0x2c;
    const EXTENSION_INTRODUCER: u8 = 0x21;
    let [.., flags, _background_color, _aspect_ratio] = read_array::<13>(file)?;
    skip_color_table(file, flags)?;
    let mut images = 0;
    while let Some(block) = file.fill_buf()?.first().copied() {
        file.consume(1);
        match block {
            IMAGE_DESCRIPTOR => {
                images += 1;
                if images > 1 {
                    return Ok(true);
                }
                let [.., flags] = read_array::<9>(file)?;
                skip_color_table(file, flags)?;
                let [_lzw_code_size] = read_array(file)?;
            }
            EXTENSION_INTRODUCER => {
                let [_label] = read_array(file)?;
            }
            _ => break,
        }
        // Both are followed by data sub-blocks, which end with an empty one (section 15).
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

/// Skips a Global or Local Color Table, if the packed fields announce one (sections 18 to 21).
fn skip_color_table(file: &mut impl Seek, flags: u8) -> io::Result<()> {
    if flags & 0x80 != 0 {
        file.seek_relative(3 << ((flags & 7) + 1))?;
    }
    Ok(())
}

/// Returns whether an APNG has more than one frame, or a single one besides the static image (PNG, third
/// edition, section 4.7).
fn png_is_animated(file: &mut (impl BufRead + Seek)) -> Result<bool, DecodeError> {
    let info = png_header::read_info(file)?;
    // Without an `fcTL` chunk before `IDAT`, the static image is not part of the animation.
    let static_images = u32::from(info.frame_control.is_none());
    Ok(info
        .animation_control
        .is_some_and(|control| control.num_frames.saturating_add(static_images) > 1))
}
