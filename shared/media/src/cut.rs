//! Where a compressed film can end without being encoded again.
//!
//! Frames are stored in another order than they are shown. Ending after an arbitrary packet shows a frame
//! from later and lacks some before it: a visible jump at the seam. An end is clean when every frame kept is
//! shown before every frame dropped.

use crate::args;
use crate::error::MediaError;
use crate::ffmpeg::Ffmpeg;
use crate::probe::{Ratio, input};
use std::path::Path;
use std::time::Duration;

const LIST_TIMEOUT: Duration = Duration::from_secs(120);

/// A clean end of a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CleanEnd {
    /// How many video packets to keep.
    pub(crate) packets: usize,
    /// How long they show, in the stream's time base.
    pub(crate) ticks: i64,
}

impl CleanEnd {
    /// How long the kept frames show.
    pub(crate) fn length(self, time_base: Ratio) -> Duration {
        Duration::try_from_secs_f64(self.ticks as f64 * time_base.value()).unwrap_or_default()
    }
}

/// All clean ends before the last packet, in order. `pts` are the show times in stored order.
pub(crate) fn clean_ends(pts: &[i64]) -> Vec<CleanEnd> {
    // earliest[i]: the first show time among packets i and later.
    let mut earliest = pts.to_vec();
    for i in (0..earliest.len().saturating_sub(1)).rev() {
        earliest[i] = earliest[i].min(earliest[i + 1]);
    }
    let Some(&start) = earliest.first() else { return Vec::new() };
    let mut latest_kept = i64::MIN;
    let mut ends = Vec::new();
    for kept in 1..pts.len() {
        latest_kept = latest_kept.max(pts[kept - 1]);
        if latest_kept < earliest[kept] {
            ends.push(CleanEnd { packets: kept, ticks: earliest[kept] - start });
        }
    }
    ends
}

impl Ffmpeg {
    /// The clean end of a film closest to `wanted`, if it has any.
    pub(crate) async fn clean_end_near(
        &self,
        path: &Path,
        time_base: Ratio,
        wanted: Duration,
    ) -> Result<Option<CleanEnd>, MediaError> {
        let file = input(path);
        let printed = self
            .doing("list_packets")
            .ffprobe(
                &args![
                    "-protocol_whitelist",
                    "file",
                    "-select_streams",
                    "v:0",
                    "-show_entries",
                    "packet=pts",
                    "-of",
                    "csv=p=0",
                    "-i",
                    &file
                ],
                LIST_TIMEOUT,
            )
            .await
            .map_err(|source| MediaError::reading("list the packets of", path, source))?;
        let printed = String::from_utf8_lossy(&printed);
        // A packet without a show time makes every end a guess.
        let pts: Option<Vec<i64>> = printed
            .lines()
            .map(|line| line.trim().trim_end_matches(','))
            .filter(|line| !line.is_empty())
            .map(|line| line.parse().ok())
            .collect();
        let ends = clean_ends(&pts.unwrap_or_default());
        Ok(ends.into_iter().min_by_key(|end| end.length(time_base).abs_diff(wanted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(pts: &[i64]) -> Vec<(usize, i64)> {
        clean_ends(pts).into_iter().map(|end| (end.packets, end.ticks)).collect()
    }

    #[test]
    fn without_reordering_every_frame_is_an_end() {
        assert_eq!(ends(&[0, 1, 2, 3]), [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(
            ends(&[100, 150, 250]),
            [(1, 50), (2, 150)],
            "the start counts, frames may differ in length"
        );
    }

    #[test]
    fn with_reordering_only_whole_groups_end() {
        // I0 P4 B2 B1 B3 P8 B6 B5 B7 I9
        assert_eq!(ends(&[0, 4, 2, 1, 3, 8, 6, 5, 7, 9]), [(1, 1), (5, 5), (9, 9)]);
    }

    #[test]
    fn short_and_broken_streams_have_none() {
        assert_eq!(ends(&[]), []);
        assert_eq!(ends(&[0]), []);
        assert_eq!(ends(&[5, 5, 5]), [], "equal times cannot be told apart");
    }
}
