//! Which form a joined film takes: the one most of its clips have already, so that they can be copied. Pure.

use crate::probe::{Color, Probe, Ratio, VideoStream};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the joined film should be, where the caller minds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Target {
    /// Width and height in pixels, even; the size of most clips when not given.
    pub size: Option<(u32, u32)>,
    /// Frames per second; those of most clips when not given. A rate within 0.2 % counts as met (23.976 for 24).
    pub fps: Option<u32>,
    /// Whether the clips' own sound stays; silence where a clip has none, no sound at all when none has.
    pub audio: bool,
}

/// What must be the same in clips that are joined without encoding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub(crate) profile: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frame_rate: Ratio,
    pub(crate) color: Color,
    pub(crate) reordered: bool,
}

/// The form chosen for a film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) shape: Shape,
    /// Ticks per second of the video track.
    pub(crate) timescale: u32,
}

/// Profiles that our encoder can make, so that an odd clip can be brought into the form of the others.
pub(crate) const PROFILES: [(&str, &str); 3] =
    [("High", "high"), ("Main", "main"), ("Constrained Baseline", "baseline")];

impl Shape {
    /// The shape of a clip that can be copied at all: what the finished film must be (H.264, 4:2:0, square
    /// pixels) in a profile that we can encode to. The level may differ: each clip carries its own.
    pub(crate) fn of(video: &VideoStream) -> Option<Self> {
        let copyable = video.codec == "h264"
            && video.pix_fmt == "yuv420p"
            && video.sar == Ratio::ONE
            && PROFILES.iter().any(|(name, _)| *name == video.profile);
        copyable.then(|| Self {
            profile: video.profile.clone(),
            width: video.width,
            height: video.height,
            frame_rate: video.frame_rate,
            color: video.color.clone(),
            reordered: video.reordered,
        })
    }

    fn meets(&self, target: &Target) -> bool {
        target.size.is_none_or(|size| size == (self.width, self.height))
            && target.fps.is_none_or(|fps| (self.frame_rate.value() / f64::from(fps) - 1.0).abs() <= 0.002)
    }
}

/// Chooses the form: of the shapes that meet the target the one with the most seconds (fewest to encode; on a
/// tie the first clip's), or a new one when no clip meets it.
pub(crate) fn choose(clips: &[(&Probe, &VideoStream)], target: &Target) -> Form {
    let timescale_of = |video: &VideoStream| if video.time_base.num == 1 { video.time_base.den } else { 0 };
    let shapes: Vec<(Shape, u32, Duration)> = clips
        .iter()
        .filter_map(|(probe, video)| {
            let shape = Shape::of(video).filter(|shape| shape.meets(target))?;
            Some((shape, timescale_of(video), probe.video_duration()))
        })
        .collect();
    if let Some(shape) = heaviest(shapes.iter().map(|(shape, _, length)| (shape.clone(), *length))) {
        let scales =
            shapes.iter().filter(|(other, ..)| *other == shape).map(|(_, scale, length)| (*scale, *length));
        let timescale = heaviest(scales).unwrap_or_default();
        let timescale = if fits(timescale, shape.frame_rate) { timescale } else { fitting(shape.frame_rate) };
        return Form { shape, timescale };
    }
    let size = heaviest(clips.iter().map(|(probe, v)| ((v.width, v.height), probe.video_duration())));
    let rate = heaviest(clips.iter().map(|(probe, v)| (v.frame_rate, probe.video_duration())));
    let (width, height) = target.size.or(size).unwrap_or((1280, 720));
    let frame_rate =
        target.fps.map(|fps| Ratio { num: fps, den: 1 }).or(rate).unwrap_or(Ratio { num: 24, den: 1 });
    let shape = Shape {
        profile: "High".into(),
        // 4:2:0 needs even sides.
        width: width.next_multiple_of(2),
        height: height.next_multiple_of(2),
        frame_rate,
        color: Color::default(),
        reordered: true,
    };
    Form { timescale: fitting(shape.frame_rate), shape }
}

/// Whether a clip can be put into the form without touching its pictures.
pub(crate) fn copies(video: &VideoStream, form: &Form) -> bool {
    Shape::of(video).is_some_and(|shape| shape == form.shape)
}

/// The value with the most seconds; the first one on a tie.
fn heaviest<T: Ord + Clone>(values: impl Iterator<Item = (T, Duration)>) -> Option<T> {
    let mut weights: BTreeMap<T, (Duration, usize)> = BTreeMap::new();
    for (order, (value, length)) in values.enumerate() {
        weights.entry(value).or_insert((Duration::ZERO, order)).0 += length;
    }
    weights
        .into_iter()
        .max_by_key(|(_, (length, order))| (*length, std::cmp::Reverse(*order)))
        .map(|(value, _)| value)
}

/// Whether a frame takes a whole number of ticks.
fn fits(timescale: u32, rate: Ratio) -> bool {
    timescale >= 1000 && (u64::from(timescale) * u64::from(rate.den)).is_multiple_of(u64::from(rate.num))
}

/// A timescale with at least 10000 ticks per second in which a frame takes a whole number of ticks.
fn fitting(rate: Ratio) -> u32 {
    rate.num.saturating_mul(10_000_u32.div_ceil(rate.num))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(width: u32, fps: u32, seconds: u64) -> Probe {
        Probe {
            format: "mov,mp4".into(),
            duration: Duration::from_secs(seconds),
            audio: None,
            video: Some(VideoStream {
                codec: "h264".into(),
                profile: "High".into(),
                level: 40,
                width,
                height: 720,
                pix_fmt: "yuv420p".into(),
                frame_rate: Ratio { num: fps, den: 1 },
                time_base: Ratio { num: 1, den: 512 * fps },
                sar: Ratio::ONE,
                color: Color::default(),
                reordered: true,
                duration: None,
            }),
        }
    }

    fn form(clips: &[Probe], target: &Target) -> Form {
        let clips: Vec<_> = clips.iter().filter_map(|c| Some((c, c.video.as_ref()?))).collect();
        choose(&clips, target)
    }

    #[test]
    fn most_seconds_win_and_the_first_on_a_tie() {
        let clips = [clip(1366, 24, 4), clip(1280, 24, 4), clip(1280, 24, 4)];
        assert_eq!(form(&clips, &Target::default()).shape.width, 1280);
        assert_eq!(form(&clips[..2], &Target::default()).shape.width, 1366);
        assert_eq!(form(&[clip(1280, 24, 3), clip(640, 24, 8)], &Target::default()).shape.width, 640);
    }

    #[test]
    fn the_target_outweighs_the_majority() {
        let clips = [clip(1366, 24, 8), clip(1280, 24, 4)];
        let target = Target { size: Some((1280, 720)), ..Target::default() };
        let chosen = form(&clips, &target);
        assert_eq!(chosen.shape.width, 1280);
        assert!(copies(clips[1].video.as_ref().expect("video"), &chosen));
        assert!(!copies(clips[0].video.as_ref().expect("video"), &chosen));
        let nobody = form(&clips, &Target { size: Some((1921, 1080)), fps: Some(30), audio: false });
        assert_eq!((nobody.shape.width, nobody.shape.height), (1922, 1080));
        assert_eq!(nobody.shape.frame_rate, Ratio { num: 30, den: 1 });
    }

    #[test]
    fn film_rates_count_as_their_round_neighbours() {
        let mut ntsc = clip(1280, 24, 4);
        if let Some(video) = &mut ntsc.video {
            video.frame_rate = Ratio { num: 24000, den: 1001 };
            video.time_base = Ratio { num: 1, den: 24000 };
        }
        let chosen = form(&[ntsc], &Target { fps: Some(24), ..Target::default() });
        assert_eq!(chosen.shape.frame_rate, Ratio { num: 24000, den: 1001 });
        assert_eq!(chosen.timescale, 24000);
    }

    #[test]
    fn odd_codecs_are_never_copied() {
        let mut hevc = clip(1280, 24, 4);
        if let Some(video) = &mut hevc.video {
            video.codec = "hevc".into();
        }
        let chosen = form(std::slice::from_ref(&hevc), &Target::default());
        assert!(!copies(hevc.video.as_ref().expect("video"), &chosen));
        assert_eq!(chosen.shape.profile, "High");
    }

    #[test]
    fn a_frame_takes_whole_ticks() {
        for rate in [(24, 1), (25, 1), (30, 1), (60, 1), (24000, 1001), (30000, 1001)] {
            let rate = Ratio { num: rate.0, den: rate.1 };
            assert!(fits(fitting(rate), rate), "{rate}");
        }
        assert!(fits(12288, Ratio { num: 24, den: 1 }));
        assert!(!fits(12800, Ratio { num: 24, den: 1 }));
    }
}
