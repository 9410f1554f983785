//! Joining: copies where it can, encodes only what is odd, keeps order and length.

use crate::films::{Film, PLAIN, assert_near, color_at, ffmpeg, secs};
use spool_media::error::MediaError;
use spool_media::profile::Target;
use spool_media::stitch::{Clip, Stitched};
use spool_media::verify::Expect;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn clip(path: PathBuf, seconds: f64) -> Clip {
    Clip { path, cut_to: secs(seconds) }
}

async fn join(clips: &[Clip], target: Target, folder: &Path) -> Stitched {
    let out = folder.join("film.mp4");
    let stitched = ffmpeg().join(clips, target, &out).await.expect("joined");
    let probe = ffmpeg().probe(&out).await.expect("a film");
    let video = probe.video.as_ref().expect("a picture");
    let expect = Expect {
        width: video.width,
        height: video.height,
        duration: clips.iter().map(|clip| clip.cut_to).sum(),
        tolerance: Duration::from_millis(150),
        audio: false,
    };
    ffmpeg().check(&out, &expect).await.expect("a good film");
    let rest: Vec<_> = std::fs::read_dir(folder).expect("the folder").flatten().map(|e| e.path()).collect();
    assert!(rest.iter().all(|path| path.is_file()), "the working folder is gone");
    stitched
}

async fn colors(folder: &Path, times: &[f64]) -> Vec<&'static str> {
    let mut seen = Vec::new();
    for &time in times {
        seen.push(color_at(&folder.join("film.mp4"), time).await);
    }
    seen
}

#[tokio::test]
async fn equal_clips_are_copied_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let mut clips = Vec::new();
    for color in ["red", "green", "blue"] {
        clips.push(clip(Film { color, ..PLAIN }.make(path, &format!("it's {color}.mp4")).await, 2.0));
    }
    let stitched = join(&clips, Target::default(), path).await;
    assert_eq!((stitched.copied, stitched.normalised), (3, 0));
    assert_near(stitched.duration, secs(6.0), 0.05);
    assert_eq!(
        colors(path, &[0.1, 1.9, 2.1, 3.9, 4.1, 5.9]).await,
        ["red", "red", "green", "green", "blue", "blue"]
    );
}

#[tokio::test]
async fn only_odd_clips_are_encoded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let clips = [
        clip(PLAIN.make(path, "1.mp4").await, 2.0),
        clip(
            Film { color: "green", size: "426x240", fps: "25", timescale: "12800", ..PLAIN }
                .make(path, "2.mp4")
                .await,
            2.0,
        ),
        clip(Film { color: "blue", ..PLAIN }.make(path, "3.mp4").await, 2.0),
        clip(Film { color: "lime", timescale: "24000", sound: true, ..PLAIN }.make(path, "4.mp4").await, 2.0),
        clip(Film { color: "blue", preset: "ultrafast", ..PLAIN }.make(path, "5.mp4").await, 2.0),
    ];
    let stitched = join(&clips, Target::default(), path).await;
    assert_eq!(
        (stitched.copied, stitched.normalised),
        (3, 2),
        "another time scale or a sound is no reason to encode"
    );
    assert_near(stitched.duration, secs(10.0), 0.05);
    assert_eq!(colors(path, &[1.0, 3.0, 5.0, 7.0, 9.0]).await, ["red", "green", "blue", "green", "blue"]);
}

#[tokio::test]
async fn a_target_size_decides_against_the_majority() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let clips = [
        clip(PLAIN.make(path, "1.mp4").await, 1.0),
        clip(Film { size: "640x360", ..PLAIN }.make(path, "2.mp4").await, 1.0),
        clip(PLAIN.make(path, "3.mp4").await, 1.0),
    ];
    let target = Target { size: Some((640, 360)), fps: Some(24), audio: false };
    let stitched = join(&clips, target, path).await;
    assert_eq!((stitched.copied, stitched.normalised), (1, 2));
    let video = ffmpeg().probe(&path.join("film.mp4")).await.expect("a film").video.expect("a picture");
    assert_eq!((video.width, video.height), (640, 360));
}

#[tokio::test]
async fn tails_are_cut_without_encoding_and_errors_do_not_add_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    for preset in ["veryfast", "ultrafast"] {
        let film = Film { preset, ..PLAIN }.make(path, "long.mp4").await;
        let clips: Vec<_> = (0..9).map(|_| clip(film.clone(), 1.55)).collect();
        let stitched = join(&clips, Target::default(), path).await;
        assert_eq!((stitched.copied, stitched.normalised), (9, 0), "{preset}");
        assert_near(stitched.duration, secs(9.0 * 1.55), 0.1);
    }
}

#[tokio::test]
async fn native_sound_stays_or_becomes_silence() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let clips = [
        clip(Film { sound: true, ..PLAIN }.make(path, "1.mp4").await, 1.5),
        clip(PLAIN.make(path, "2.mp4").await, 2.0),
        clip(Film { sound: true, ..PLAIN }.make(path, "3.mp4").await, 2.0),
    ];
    let stitched = join(&clips, Target { audio: true, ..Target::default() }, path).await;
    assert_eq!((stitched.copied, stitched.normalised), (3, 0));
    let film = path.join("film.mp4");
    let sound = ffmpeg().probe(&film).await.expect("a film").audio.expect("sound");
    assert_near(sound.duration.expect("a length"), secs(5.5), 0.1);
    assert!(crate::films::level(&film, 0.5, 0.5).await > -40.0);
    assert!(crate::films::level(&film, 2.0, 1.0).await < -60.0);
    assert!(crate::films::level(&film, 4.5, 0.5).await > -40.0);

    let music = path.join("music.m4a");
    ffmpeg().silence(secs(5.5), &music).await.expect("made");
    for native in [false, true] {
        let out = path.join("mixed.mp4");
        assert_near(ffmpeg().mix(&film, &music, native, &out).await.expect("mixed"), secs(5.5), 0.1);
        assert_near(ffmpeg().probe(&out).await.expect("a film").duration, secs(5.5), 0.1);
        assert_eq!(crate::films::level(&out, 4.5, 0.5).await > -40.0, native);
    }
}

#[tokio::test]
async fn slightly_short_clips_pass_and_much_too_short_ones_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let film = PLAIN.make(path, "short.mp4").await;
    let out = path.join("film.mp4");
    let short = [clip(film.clone(), 2.12), clip(film.clone(), 1.5)];
    let stitched = ffmpeg().join(&short, Target::default(), &out).await.expect("joined");
    assert_near(stitched.duration, secs(3.62), 0.1);
    let missing = [clip(film.clone(), 3.0)];
    let error = ffmpeg().join(&missing, Target::default(), &out).await.expect_err("too short");
    assert!(matches!(&error, MediaError::Unusable { path, .. } if *path == film), "{error}");
    assert!(ffmpeg().join(&[], Target::default(), &out).await.is_err());
}
