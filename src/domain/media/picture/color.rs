//! Converts pictures to sRGB: what is stored has no colour profile.
//!
//! A profile that cannot be read, or is for another kind of pixels (CMYK, which the decoder converts by
//! itself), is ignored, as browsers do: the picture then looks as it did before the upload.

use image::{ColorType, DynamicImage};
use moxcms::{
    Chromaticity, CicpProfile, CmsError, ColorPrimaries, ColorProfile, DataColorSpace, Layout,
    MatrixCoefficients, ToneReprCurve, TransformExecutor, TransformOptions,
};

/// The largest ICC profile that is read, in bytes. Those of cameras and displays are smaller.
const MAX_PROFILE: usize = 2 * 1024 * 1024;

/// How many pixels are converted at a time.
const CHUNK: usize = 4096;

/// By so much a sample may change in a conversion that is not worth its rounding.
const TOLERANCE: u8 = 1;

/// The value of `gAMA` that means sRGB.
const SRGB_GAMMA: u32 = 45_455;

/// Reads an ICC profile.
pub(super) fn icc(bytes: &[u8]) -> Option<ColorProfile> {
    if bytes.len() > MAX_PROFILE {
        return None;
    }
    ColorProfile::new_from_slice(bytes).ok()
}

/// The profile of a PNG, from the chunk that counts (PNG, third edition, section 4.3). `None`: sRGB.
pub(super) fn of_png(info: &png::Info<'_>) -> Option<ColorProfile> {
    if let Some(points) = info.coding_independent_code_points {
        return code_points(points);
    }
    if let Some(profile) = &info.icc_profile {
        return icc(profile);
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
        grey()
    } else {
        ColorProfile::new_srgb()
    };
    if let Some(gamma) = gamma {
        let exponent = f64::from(100_000) / f64::from(gamma);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an exponent needs no precision"
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

/// The colour space of these code points (ITU-T H.273). `None` where it is no space of RGB; unknown points
/// leave sRGB.
fn code_points(points: png::CodingIndependentCodePoints) -> Option<ColorProfile> {
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

/// Grey with the curve of sRGB.
fn grey() -> ColorProfile {
    let mut grey = ColorProfile::new_gray_with_gamma(2.2);
    grey.gray_trc = ColorProfile::new_srgb().red_trc;
    grey
}

/// Converts a picture from that profile in place.
pub(super) fn to_srgb(image: &mut DynamicImage, profile: &ColorProfile) {
    let (is_fitting, srgb) = if image.color().has_color() {
        let is_fitting = profile.color_space == DataColorSpace::Rgb;
        (is_fitting, ColorProfile::new_srgb())
    } else {
        (profile.color_space == DataColorSpace::Gray, grey())
    };
    if !is_fitting {
        return;
    }
    if let Err(error) = convert(image, profile, &srgb) {
        tracing::debug!(%error, "ignored a colour profile that cannot be used");
    }
}

/// Errors before any pixel is changed: a transform fails when it is made, or not at all.
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
    let eight = from.create_transform_8bit(layout, to, layout, options())?;
    if is_identity(eight.as_ref(), layout)? {
        return Ok(());
    }
    let sixteen = || from.create_transform_16bit(layout, to, layout, options());
    match image {
        DynamicImage::ImageLuma8(image) => run(eight.as_ref(), image, layout),
        DynamicImage::ImageLumaA8(image) => run(eight.as_ref(), image, layout),
        DynamicImage::ImageRgb8(image) => run(eight.as_ref(), image, layout),
        DynamicImage::ImageRgba8(image) => run(eight.as_ref(), image, layout),
        DynamicImage::ImageLuma16(image) => run(sixteen()?.as_ref(), image, layout),
        DynamicImage::ImageLumaA16(image) => run(sixteen()?.as_ref(), image, layout),
        DynamicImage::ImageRgb16(image) => run(sixteen()?.as_ref(), image, layout),
        DynamicImage::ImageRgba16(image) => run(sixteen()?.as_ref(), image, layout),
        // No decoder gives pictures of floating point.
        _ => Ok(()),
    }
}

/// Whether a transform leaves colours as they are, as that of an sRGB profile does.
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

fn run<T: Copy + Default>(
    transform: &(dyn TransformExecutor<T> + Send + Sync),
    samples: &mut [T],
    layout: Layout,
) -> Result<(), CmsError> {
    let mut before = vec![T::default(); CHUNK * layout.channels()];
    for chunk in samples.chunks_mut(CHUNK * layout.channels()) {
        let before = &mut before[..chunk.len()];
        before.copy_from_slice(chunk);
        transform.transform(before, chunk)?;
    }
    Ok(())
}
