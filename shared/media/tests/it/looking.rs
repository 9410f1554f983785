//! Looking at files: what is broken must be found, what is asked must be there.

use crate::films::{Film, PLAIN, TIMEOUT, assert_near, ffmpeg, secs, tone};
use spool_media::args;
use spool_media::error::MediaError;
use spool_media::ffmpeg::FfmpegError;
use spool_media::thumbnail::Fit;
use spool_media::verify::Expect;
use std::time::Duration;

#[tokio::test]
async fn a_truncated_film_passes_the_probe_and_fails_the_scan() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = Film { sound: true, ..PLAIN }.make(folder.path(), "film.mp4").await;
    ffmpeg().packet_scan(&film).await.expect("whole");
    let bytes = std::fs::read(&film).expect("the film");
    std::fs::write(&film, &bytes[..bytes.len() * 6 / 10]).expect("cut");
    let probe = ffmpeg().probe(&film).await.expect("its index is in front");
    assert_near(probe.duration, secs(2.0), 0.05);
    let error = ffmpeg().packet_scan(&film).await.expect_err("truncated");
    assert!(error.is_files_fault(), "{error}");
}

#[tokio::test]
async fn whole_containers_of_garbage_pass_the_packet_scan_and_fail_the_decode() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let film = Film { sound: true, ..PLAIN }.make(path, "film.mp4").await;
    let mute = PLAIN.make(path, "mute.mp4").await;
    for file in [film, mute, tone(path, "tone.m4a", 330, 2.0).await] {
        ffmpeg().intake_scan(&file, secs(2.0)).await.expect("good");
        let bytes = std::fs::read(&file).expect("the file");
        std::fs::write(&file, spoilt(&bytes)).expect("spoilt");
        ffmpeg().packet_scan(&file).await.expect("its container is whole");
        let error = ffmpeg().intake_scan(&file, secs(2.0)).await.expect_err("garbage");
        assert!(error.is_files_fault(), "{error}");
    }
    // Nothing that could be decoded at all.
    let flac = tone(path, "tone.flac", 330, 2.0).await;
    ffmpeg().intake_scan(&flac, secs(2.0)).await.expect("good");
    let mut bytes = std::fs::read(&flac).expect("the sound");
    // Behind its header, which says how long it is.
    bytes[1_000..].fill(0x5a);
    std::fs::write(&flac, &bytes).expect("spoilt");
    let error = ffmpeg().intake_scan(&flac, secs(2.0)).await.expect_err("no frame");
    assert!(error.is_files_fault(), "{error}");
}

/// An MP4 with every byte of its media replaced, and its index as it was.
fn spoilt(bytes: &[u8]) -> Vec<u8> {
    let mut spoilt = bytes.to_vec();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = head[..4].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        if &head[4..] == b"mdat" {
            spoilt[at + 8..at + length].fill(0x5a);
        }
        at += length;
    }
    spoilt
}

#[tokio::test]
async fn what_is_no_media_is_the_files_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in [
        ("page.mp4", "<html>Sign in</html>"),
        ("empty.mp4", ""),
        ("list.mp4", "ffconcat version 1.0\nfile /etc/hostname\n"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let error = ffmpeg().probe(&path).await.expect_err("refused");
        assert!(error.is_files_fault(), "{name}: {error}");
    }
    let missing = ffmpeg().probe(&folder.path().join("missing.mp4")).await;
    assert!(missing.is_err());
}

#[tokio::test]
async fn a_film_must_be_what_was_ordered() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = PLAIN.make(folder.path(), "film.mp4").await;
    let good = Expect {
        width: 320,
        height: 180,
        duration: secs(2.0),
        tolerance: Duration::from_millis(100),
        audio: false,
    };
    let verified = ffmpeg().check(&film, &good).await.expect("good");
    assert!(!verified.audio);
    for bad in [
        Expect { width: 640, ..good },
        Expect { duration: secs(4.0), ..good },
        Expect { audio: true, ..good },
    ] {
        let error = ffmpeg().check(&film, &bad).await.expect_err("not as ordered");
        assert!(matches!(error, MediaError::NotAsAsked { .. }), "{error}");
    }
    // Damage inside a frame: every packet is there, but it does not decode.
    let mut bytes = std::fs::read(&film).expect("the film");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 400].fill(0x5a);
    std::fs::write(&film, &bytes).expect("damaged");
    assert!(ffmpeg().check(&film, &good).await.expect_err("damaged").is_files_fault());
}

#[tokio::test]
async fn photos_are_measured_before_they_are_decoded() {
    let folder = tempfile::tempdir().expect("a folder");
    let photo = folder.path().join("photo.jpg");
    let source = args!["-f", "lavfi", "-i", "testsrc2=s=640x480", "-frames:v", "1", &photo];
    ffmpeg().run(&source, TIMEOUT).await.expect("made");
    let info = ffmpeg().check_image(&photo).await.expect("a photo");
    assert_eq!((info.width, info.height), (640, 480));
    let bytes = std::fs::read(&photo).expect("the photo");
    std::fs::write(&photo, &bytes[..bytes.len() / 2]).expect("cut");
    assert!(ffmpeg().check_image(&photo).await.expect_err("half a photo").is_files_fault());

    // 20000 by 10000 pixels in 33 bytes: the header alone must be enough to refuse it.
    let bomb = folder.path().join("bomb.png");
    let header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x4e\x20\0\0\x27\x10\x08\x02\0\0\0";
    std::fs::write(&bomb, header).expect("written");
    assert!(ffmpeg().check_image(&bomb).await.expect_err("too large").is_files_fault());
}

#[tokio::test]
async fn thumbnails_fit_their_box() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = PLAIN.make(folder.path(), "film.mp4").await;
    let out = folder.path().join("thumb.jpg");
    let fit = |width, height, padded| Fit { width, height, padded };
    for (at, fit, size) in [
        (1.0, fit(160, 160, false), (160, 90)),
        (1.0, fit(160, 160, true), (160, 160)),
        (99.0, fit(160, 90, false), (160, 90)),
        (0.0, fit(4000, 4000, false), (320, 180)),
    ] {
        ffmpeg().thumbnail(&film, secs(at), fit, &out).await.expect("a picture");
        let info = ffmpeg().check_image(&out).await.expect("a photo");
        assert_eq!((info.width, info.height), size, "{fit:?}");
    }
    let again = folder.path().join("again.jpg");
    ffmpeg().thumbnail(&out, secs(1.0), fit(40, 40, false), &again).await.expect("of a photo");
    assert_eq!(ffmpeg().check_image(&again).await.expect("a photo").width, 40);
}

#[tokio::test]
async fn a_run_out_of_time_is_killed_and_says_so() {
    let endless = args!["-re", "-f", "lavfi", "-i", "anullsrc", "-f", "null", "-"];
    let error = ffmpeg().run(&endless, Duration::from_millis(300)).await.expect_err("stopped");
    assert!(matches!(error, FfmpegError::TimedOut { .. }), "{error}");
    let nonsense = ffmpeg().run(&args!["-f", "nonsense", "-i", "x"], TIMEOUT).await.expect_err("refused");
    assert!(nonsense.to_string().contains("nonsense"), "{nonsense}");
}
