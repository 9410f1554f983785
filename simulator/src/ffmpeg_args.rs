//! Argument lists for FFmpeg: what each model's media look like. Pure; nothing is run here.

use std::ffi::OsString;
use std::path::Path;

/// Room around the picture to move in.
const MARGIN: f64 = 1.06;
/// Seconds in which the first picture gives way to the last.
const FADE: f64 = 0.75;

/// A clip's form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Clip {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fps: u32,
    pub(crate) seconds: u32,
    /// Ticks a second of the MP4's video track.
    pub(crate) timescale: u32,
    pub(crate) audio: bool,
    /// Colours and pitch where nothing else decides.
    pub(crate) seed: u32,
}

impl Clip {
    pub(crate) fn frames(self) -> u32 {
        self.fps * self.seconds
    }
}

fn words(list: &[&str]) -> Vec<OsString> {
    list.iter().map(OsString::from).collect()
}

/// A clip that moves from `first` to `last`; from one picture, or from a made-up one, a slow pan.
pub(crate) fn clip(
    first: Option<&Path>,
    last: Option<&Path>,
    shape: Clip,
    comment: &str,
    out: &Path,
) -> Vec<OsString> {
    let mut args = Vec::new();
    if let Some(path) = first {
        args.extend(["-i".into(), path.into()]);
    } else {
        let (width, height) = padded(shape);
        args.extend(words(&["-f", "lavfi", "-i", &gradient(width, height, shape.seed)]));
    }
    if let Some(path) = last {
        args.extend(["-i".into(), path.into()]);
    }
    if shape.audio {
        let tone =
            format!("sine=frequency={}:sample_rate=48000:duration={}", 180 + shape.seed % 200, shape.seconds);
        args.extend(words(&["-f", "lavfi", "-i", &tone]));
    }
    args.extend(words(&["-filter_complex", &movement(last.is_some(), shape), "-map", "[v]"]));
    if shape.audio {
        let map = if last.is_some() { "2:a" } else { "1:a" };
        args.extend(words(&[
            "-map",
            map,
            "-af",
            "volume=0.2",
            "-c:a",
            "aac",
            "-b:a",
            "128k",
            "-ac",
            "2",
            "-ar",
            "48000",
        ]));
    }
    let (timescale, seconds, gop) =
        (shape.timescale.to_string(), shape.seconds.to_string(), (shape.fps * 2).to_string());
    args.extend(words(&[
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-crf",
        "28",
        "-threads",
        "2",
        "-pix_fmt",
        "yuv420p",
        "-g",
        &gop,
        "-video_track_timescale",
        &timescale,
        "-t",
        &seconds,
        "-color_range",
        "tv",
        "-colorspace",
        "bt709",
        "-color_primaries",
        "bt709",
        "-color_trc",
        "bt709",
        "-metadata",
        &format!("comment={comment}"),
        "-movflags",
        "+faststart",
        "-f",
        "mp4",
    ]));
    args.push(out.into());
    args
}

/// The moving picture: each still is decoded and scaled once, repeated, and cropped at a place that wanders.
/// (zoompan and a long cross-fade look smoother and cost three times as much.)
fn movement(two: bool, shape: Clip) -> String {
    let (width, height) = padded(shape);
    let Clip { fps, .. } = shape;
    let still = |input: u32, frames: u32, from_middle: bool| {
        let (room, middle) = (width - shape.width, (width - shape.width) / 2);
        // Begins, or ends, with the middle of the picture.
        let x = if from_middle {
            format!("{middle}+{}*n/{frames}", room - middle)
        } else {
            format!("{middle}*n/{frames}")
        };
        format!(
            "[{input}:v]scale={width}:{height}:force_original_aspect_ratio=increase:flags=bilinear:\
             out_color_matrix=bt709:out_range=tv,crop={width}:{height},setsar=1,format=yuv420p,\
             loop=loop={frames}:size=1,settb=1/{fps},setpts=N,fps={fps},\
             crop={}:{}:x='{x}':y={}",
            shape.width,
            shape.height,
            (height - shape.height) / 2
        )
    };
    if !two {
        return format!("{}[v]", still(0, shape.frames(), true));
    }
    let offset = f64::from(shape.seconds) / 2.0 - FADE / 2.0;
    let frames = |seconds: f64| (seconds * f64::from(fps)).ceil() as u32 + 1;
    format!(
        "{}[a];{}[b];[a][b]xfade=transition=fade:duration={FADE}:offset={offset}[v]",
        still(0, frames(offset + FADE), true),
        still(1, frames(f64::from(shape.seconds) - offset), false)
    )
}

fn padded(shape: Clip) -> (u32, u32) {
    let grow = |side: u32| ((f64::from(side) * MARGIN / 4.0).ceil() as u32) * 4;
    (grow(shape.width), grow(shape.height))
}

fn gradient(width: u32, height: u32, seed: u32) -> String {
    let (one, other) =
        (seed.wrapping_mul(2_654_435_761) >> 8, seed.wrapping_mul(40_503).wrapping_add(0x00E9_C46A));
    format!(
        "gradients=s={width}x{height}:c0=0x{one:06x}:c1=0x{:06x}:seed={seed}:n=2:d=1:r=1,trim=end_frame=1",
        other & 0x00FF_FFFF
    )
}

/// A still picture; the name's ending says the format.
pub(crate) fn image(width: u32, height: u32, seed: u32, comment: &str, out: &Path) -> Vec<OsString> {
    let source = gradient(width, height, seed);
    let mut args =
        words(&["-f", "lavfi", "-i", &source, "-frames:v", "1", "-metadata", &format!("comment={comment}")]);
    args.push(out.into());
    args
}

/// The part of an input that music goes on from, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window<'a> {
    pub(crate) audio: &'a Path,
    pub(crate) start: f64,
    pub(crate) end: f64,
}

/// New music of so many seconds, after the window of an input where there is one. 32 kHz stereo.
pub(crate) fn music(
    seconds: u32,
    seed: u32,
    before: Option<Window<'_>>,
    comment: &str,
    out: &Path,
) -> Vec<OsString> {
    let tune = tune(seconds, seed);
    let mut args = Vec::new();
    if let Some(window) = before {
        args.extend(["-i".into(), window.audio.into()]);
        args.extend(words(&["-f", "lavfi", "-i", &tune]));
        let join = format!(
            "[0:a]aresample=32000,aformat=channel_layouts=stereo:sample_fmts=s16,atrim=start={}:end={},asetpts=PTS-STARTPTS[a];\
             [1:a]aformat=channel_layouts=stereo:sample_fmts=s16[b];[a][b]concat=n=2:v=0:a=1[m]",
            window.start, window.end
        );
        args.extend(words(&["-filter_complex", &join, "-map", "[m]"]));
    } else {
        args.extend(words(&["-f", "lavfi", "-i", &tune]));
    }
    args.extend(words(&["-vn", "-ar", "32000", "-ac", "2", "-metadata", &format!("comment={comment}")]));
    args.push(out.into());
    args
}

fn tune(seconds: u32, seed: u32) -> String {
    let root = 196.0 * 2f64.powf(f64::from(seed % 12) / 12.0);
    let (third, fifth) = (root * 2f64.powf(4.0 / 12.0), root * 1.5);
    format!(
        "aevalsrc='0.2*sin(2*PI*{root:.2}*t)*exp(-mod(t\\,1)*2)+0.12*sin(2*PI*{third:.2}*t)|\
         0.2*sin(2*PI*{root:.2}*t)*exp(-mod(t\\,1)*2)+0.12*sin(2*PI*{fifth:.2}*t)':s=32000:d={seconds}"
    )
}

/// Something like a voice.
pub(crate) fn speech(seconds: f64, rate: u32, channels: u32, comment: &str, out: &Path) -> Vec<OsString> {
    let source = format!(
        "aevalsrc='0.3*sin(2*PI*(140+30*sin(2*PI*3*t))*t)*(0.5+0.5*sin(2*PI*4*t))':s={rate}:d={seconds:.2}"
    );
    let mut args = words(&[
        "-f",
        "lavfi",
        "-i",
        &source,
        "-ac",
        &channels.to_string(),
        "-c:a",
        "libmp3lame",
        "-b:a",
        "128k",
        "-metadata",
        &format!("comment={comment}"),
    ]);
    args.push(out.into());
    args
}

/// The same media again with a comment of its own, without encoding.
pub(crate) fn again(cached: &Path, comment: &str, out: &Path) -> Vec<OsString> {
    let mut args = vec!["-i".into(), cached.into()];
    args.extend(words(&["-c", "copy", "-metadata", &format!("comment={comment}")]));
    args.push(out.into());
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Clip =
        Clip { width: 1920, height: 1080, fps: 24, seconds: 4, timescale: 12288, audio: true, seed: 7 };

    fn text(args: &[OsString]) -> String {
        args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn sound_is_a_track_of_its_own_after_the_pictures() {
        let (a, b, out) = (Path::new("a.jpg"), Path::new("b.jpg"), Path::new("o.mp4"));
        let two = text(&clip(Some(a), Some(b), SHAPE, "id", out));
        assert!(
            two.contains("-i a.jpg -i b.jpg -f lavfi") && two.contains("-map 2:a") && two.contains("xfade")
        );
        let one = text(&clip(Some(a), None, SHAPE, "id", out));
        assert!(one.contains("-map 1:a") && !one.contains("xfade"));
        let silent = text(&clip(None, None, Clip { audio: false, ..SHAPE }, "id", out));
        assert!(
            !silent.contains("sine") && silent.contains("gradients=s=2036x1148") && silent.ends_with("o.mp4")
        );
    }

    #[test]
    fn a_continuation_starts_with_the_window() {
        let window = Window { audio: Path::new("in.wav"), start: 3.0, end: 4.0 };
        let args = text(&music(8, 1, Some(window), "id", Path::new("o.wav")));
        assert!(args.contains("atrim=start=3:end=4") && args.contains("d=8") && args.contains("concat=n=2"));
    }
}
