//! Looking at a video: streams, length, loudness, and which photo a frame shows.

use crate::system::command;
use serde_json::Value;
use std::path::Path;

/// Side of the small grey pictures that frames and photos are compared by.
const SIDE: usize = 32;

/// What ffprobe says.
pub async fn probe(video: &Path) -> Value {
    let output = command("ffprobe")
        .args(["-v", "error", "-print_format", "json", "-show_format", "-show_streams"])
        .arg(video)
        .output()
        .await
        .expect("ffprobe runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Mean volume in decibels; digital silence is far below -60.
pub async fn mean_volume(video: &Path) -> f64 {
    volume(video, "volumedetect").await
}

/// The same of some seconds of it.
pub async fn volume_between(video: &Path, start: f64, end: f64) -> f64 {
    volume(video, &format!("atrim=start={start}:end={end},volumedetect")).await
}

async fn volume(video: &Path, filter: &str) -> f64 {
    let output = command("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(video)
        .args(["-map", "0:a", "-af", filter, "-f", "null", "-"])
        .output()
        .await
        .expect("ffmpeg runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, tail) = text.split_once("mean_volume: ").unwrap_or_else(|| panic!("no volume in {text}"));
    tail.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// A frame (or a photo, at zero) as a small grey picture.
pub async fn picture(media: &Path, at: f64) -> Vec<u8> {
    let mut ffmpeg = command("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error"]);
    // A photo has no time to seek in.
    if at > 0.0 {
        ffmpeg.args(["-ss", &at.to_string()]);
    }
    let output = ffmpeg
        .arg("-i")
        .arg(media)
        .args(["-frames:v", "1", "-vf"])
        .arg(format!("scale=1920:1080:force_original_aspect_ratio=increase,crop=1920:1080,scale={SIDE}:{SIDE},format=gray"))
        .args(["-f", "rawvideo", "-"])
        .output()
        .await
        .expect("ffmpeg runs");
    assert_eq!(output.stdout.len(), SIDE * SIDE, "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// How unlike two pictures are: the mean difference of their pixels.
pub fn difference(a: &[u8], b: &[u8]) -> f64 {
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.len() as f64
}
