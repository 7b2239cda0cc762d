//! Converts images to sRGB, since stored images have no colour profile.
//!
//! Like browsers, it ignores a profile that is invalid or belongs to another colour space. The latter happens
//! with CMYK files, which the decoder converts to RGB. The image then looks as it did before the upload.

use image::{ColorType, DynamicImage};
use moxcms::{
    Chromaticity, CicpProfile, CmsError, ColorPrimaries, ColorProfile, DataColorSpace, Layout,
    MatrixCoefficients, ToneReprCurve, TransformExecutor, TransformOptions,
};

/// The maximum size of an ICC profile, in bytes. Those of cameras and displays are smaller.
const MAX_PROFILE_SIZE: usize = 2 * 1024 * 1024;

/// How many pixels are converted at a time.
const CHUNK_PIXELS: usize = 4096;

/// A conversion is skipped if it changes no sample by more than this: its rounding would cost more than it
/// gains.
const TOLERANCE: u8 = 1;

/// The value of the `gAMA` chunk for sRGB: 1 / 2.2, times 100,000.
const SRGB_GAMMA: u32 = 45_455;

/// Parses an ICC profile. Returns `None` if it is invalid or too large.
pub(super) fn icc_profile(bytes: &[u8]) -> Option<ColorProfile> {
    if bytes.len() > MAX_PROFILE_SIZE {
        return None;
    }
    ColorProfile::new_from_slice(bytes).ok()
}

/// Returns the profile of a PNG, or `None` for sRGB. The first of these chunks counts: `cICP`, `iCCP`, `sRGB`,
/// `gAMA` with `cHRM` (PNG, third edition, section 4.3).
pub(super) fn png_profile(info: &png::Info<'_>) -> Option<ColorProfile> {
    if let Some(points) = info.coding_independent_code_points {
        return cicp_profile(points);
    }
    if let Some(profile) = &info.icc_profile {
        return icc_profile(profile);
    }
    if info.srgb.is_some() {
        return None;
    }
    let gamma = info.gama_chunk.map(png::ScaledFloat::into_scaled);
    let gamma = gamma.filter(|gamma| *gamma > 0 && gamma.abs_diff(SRGB_GAMMA) > 100);
    if gamma.is_none() && info.chrm_chunk.is_none() {
        return None;
    }
    let is_grey = matches!(
        info.color_type,
        png::ColorType::Grayscale | png::ColorType::GrayscaleAlpha
    );
    let mut profile = if is_grey {
        gray_profile()
    } else {
        ColorProfile::new_srgb()
    };
    if let Some(gamma) = gamma {
        let exponent = f64::from(100_000) / f64::from(gamma);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "f32 is precise enough for a gamma exponent"
        )]
        let curve = Some(ToneReprCurve::Parametric(vec![exponent as f32]));
        if is_grey {
            profile.gray_trc = curve;
        } else {
            profile.cicp = None;
            profile.red_trc.clone_from(&curve);
            profile.green_trc.clone_from(&curve);
            profile.blue_trc = curve;
        }
    }
    if let Some(chunk) = info.chrm_chunk.filter(|_| !is_grey) {
        let point = |(x, y): (png::ScaledFloat, png::ScaledFloat)| {
            Chromaticity::new(x.into_value(), y.into_value())
        };
        let primaries = ColorPrimaries {
            red: point(chunk.red),
            green: point(chunk.green),
            blue: point(chunk.blue),
        };
        profile.update_rgb_colorimetry(point(chunk.white).to_xyyb(), primaries);
    }
    Some(profile)
}

/// Returns the profile of coding-independent code points (ITU-T H.273); `None` if they are invalid or do not
/// describe full-range RGB. Unspecified values mean sRGB.
fn cicp_profile(points: png::CodingIndependentCodePoints) -> Option<ColorProfile> {
    let mut profile = ColorProfile::new_srgb();
    // moxcms 0.8.1 returns `false` here even where it has changed the profile.
    profile.update_rgb_colorimetry_from_cicp(CicpProfile {
        color_primaries: points.color_primaries.try_into().ok()?,
        transfer_characteristics: points.transfer_function.try_into().ok()?,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    (points.is_video_full_range_image && points.matrix_coefficients == 0).then_some(profile)
}

/// Returns a greyscale profile with the tone curve of sRGB.
fn gray_profile() -> ColorProfile {
    let mut profile = ColorProfile::new_gray_with_gamma(2.2);
    profile.gray_trc = ColorProfile::new_srgb().red_trc;
    profile
}

/// Converts an image from the given profile in place.
pub(super) fn to_srgb(image: &mut DynamicImage, profile: &ColorProfile) {
    let (is_matching, srgb) = if image.color().has_color() {
        let is_matching = profile.color_space == DataColorSpace::Rgb;
        (is_matching, ColorProfile::new_srgb())
    } else {
        (profile.color_space == DataColorSpace::Gray, gray_profile())
    };
    if !is_matching {
        return;
    }
    if let Err(error) = convert(image, profile, &srgb) {
        tracing::debug!(%error, "ignored an unsupported colour profile");
    }
}

/// On an error the image is unchanged: only the creation of a transform can fail.
fn convert(
    image: &mut DynamicImage,
    from: &ColorProfile,
    to: &ColorProfile,
) -> Result<(), CmsError> {
    let layout = match image.color() {
        ColorType::L8 | ColorType::L16 => Layout::Gray,
        ColorType::La8 | ColorType::La16 => Layout::GrayAlpha,
        ColorType::Rgb8 | ColorType::Rgb16 => Layout::Rgb,
        _ => Layout::Rgba,
    };
    let options = TransformOptions::default;
    let transform_8bit = from.create_transform_8bit(layout, to, layout, options())?;
    if is_identity(transform_8bit.as_ref(), layout)? {
        return Ok(());
    }
    let transform_16bit = || from.create_transform_16bit(layout, to, layout, options());
    match image {
        DynamicImage::ImageLuma8(image) => run(transform_8bit.as_ref(), image, layout),
        DynamicImage::ImageLumaA8(image) => run(transform_8bit.as_ref(), image, layout),
        DynamicImage::ImageRgb8(image) => run(transform_8bit.as_ref(), image, layout),
        DynamicImage::ImageRgba8(image) => run(transform_8bit.as_ref(), image, layout),
        DynamicImage::ImageLuma16(image) => run(transform_16bit()?.as_ref(), image, layout),
        DynamicImage::ImageLumaA16(image) => run(transform_16bit()?.as_ref(), image, layout),
        DynamicImage::ImageRgb16(image) => run(transform_16bit()?.as_ref(), image, layout),
        DynamicImage::ImageRgba16(image) => run(transform_16bit()?.as_ref(), image, layout),
        // No decoder returns floating-point pixels.
        _ => Ok(()),
    }
}

/// Returns whether a transform changes no colour by more than [`TOLERANCE`], like that of an sRGB profile. It
/// samples all grey levels, or 6 levels per RGB channel.
fn is_identity(
    transform: &(dyn TransformExecutor<u8> + Send + Sync),
    layout: Layout,
) -> Result<bool, CmsError> {
    const STEPS: [u8; 6] = [0, 51, 102, 153, 204, 255];
    let probe: Vec<u8> = match layout {
        Layout::Gray => (0..=255).collect(),
        Layout::GrayAlpha => (0..=255).flat_map(|grey| [grey, 255]).collect(),
        layout => {
            let alpha = &[255][..layout.channels() - 3];
            let pairs = STEPS
                .iter()
                .flat_map(|red| STEPS.map(|green| [*red, green]));
            let pixels = pairs.flat_map(|pair| STEPS.map(|blue| [pair[0], pair[1], blue]));
            pixels.flat_map(|pixel| [&pixel, alpha].concat()).collect()
        }
    };
    let mut converted = vec![0; probe.len()];
    transform.transform(&probe, &mut converted)?;
    let mut pairs = probe.iter().zip(&converted);
    Ok(pairs.all(|(before, after)| before.abs_diff(*after) <= TOLERANCE))
}

/// Transforms the samples of an image in place.
fn run<T: Copy + Default>(
    transform: &(dyn TransformExecutor<T> + Send + Sync),
    samples: &mut [T],
    layout: Layout,
) -> Result<(), CmsError> {
    let mut input = vec![T::default(); CHUNK_PIXELS * layout.channels()];
    for chunk in samples.chunks_mut(CHUNK_PIXELS * layout.channels()) {
        let input = &mut input[..chunk.len()];
        input.copy_from_slice(chunk);
        transform.transform(input, chunk)?;
    }
    Ok(())
}
