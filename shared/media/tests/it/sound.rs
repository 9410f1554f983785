//! Soundtracks and mixing.

use crate::films::{Film, PLAIN, assert_near, ffmpeg, level, secs, tone};
use spool_media::error::MediaError;
use spool_media::music::Segment;
use spool_media::verify::Expect;
use std::time::Duration;

#[tokio::test]
async fn segments_become_one_track_of_exact_length() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    // The second carries the first in front, as a continuation does.
    let segments = [
        Segment { path: tone(path, "1.mp3", 220, 4.0).await, wanted: secs(4.0) },
        Segment { path: tone(path, "2.wav", 330, 8.0).await, wanted: secs(4.0) },
    ];
    let out = path.join("music.m4a");
    ffmpeg().soundtrack(&segments, secs(10.0), secs(1.5), &out).await.expect("made");
    let audio = ffmpeg().probe(&out).await.expect("a track").audio.expect("sound");
    assert_eq!((audio.codec.as_str(), audio.sample_rate, audio.channels), ("aac", 48_000, 2));
    assert_near(audio.duration.expect("a length"), secs(10.0), 0.05);
    let loud = level(&out, 4.0, 1.0).await;
    assert!((-30.0..-8.0).contains(&loud), "an even loudness, got {loud}");
    assert!(level(&out, 0.0, 0.2).await < loud - 6.0, "it fades in");
    assert!(level(&out, 7.7, 0.25).await < loud - 6.0, "it fades out where the music ends");
    assert!(level(&out, 8.2, 1.5).await < -60.0, "then silence");
}

#[tokio::test]
async fn short_silent_and_missing_music_still_gives_a_track() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let out = path.join("music.m4a");
    let short = [Segment { path: tone(path, "1.mp3", 220, 0.4).await, wanted: secs(8.0) }];
    let silent = path.join("silent.m4a");
    ffmpeg().silence(secs(3.0), &silent).await.expect("made");
    let mute = [Segment { path: silent, wanted: secs(3.0) }];
    for segments in [&short[..], &mute, &[]] {
        ffmpeg().soundtrack(segments, secs(5.0), secs(2.0), &out).await.expect("made");
        assert_near(ffmpeg().probe(&out).await.expect("a track").duration, secs(5.0), 0.05);
    }
    assert!(level(&out, 0.0, 5.0).await < -80.0);
    assert!(ffmpeg().silence(Duration::ZERO, &out).await.is_err());
    let film = PLAIN.make(path, "mute.mp4").await;
    let error =
        ffmpeg().soundtrack(&[Segment { path: film, wanted: secs(1.0) }], secs(2.0), secs(0.1), &out).await;
    assert!(matches!(error, Err(MediaError::Unusable { .. })));
}

#[tokio::test]
async fn music_goes_under_a_film_without_touching_the_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let film = Film { sound: true, ..PLAIN }.make(path, "film.mp4").await;
    let exact = path.join("exact.m4a");
    ffmpeg().silence(secs(2.0), &exact).await.expect("made");
    let long = tone(path, "long.mp3", 440, 5.0).await;
    let brief = tone(path, "brief.wav", 440, 0.5).await;
    let out = path.join("out.mp4");
    let expect = Expect {
        width: 320,
        height: 180,
        duration: secs(2.0),
        tolerance: Duration::from_millis(60),
        audio: true,
    };
    for music in [&exact, &long, &brief] {
        for native in [false, true] {
            let length = ffmpeg().mix(&film, music, native, &out).await.expect("mixed");
            assert_near(length, secs(2.0), 0.001);
            let verified = ffmpeg().check(&out, &expect).await.expect("a good film");
            assert!(verified.audio && verified.bytes > 1000);
            let bytes = std::fs::read(&out).expect("the film");
            let at = |what: &[u8]| bytes.windows(4).position(|w| w == what).expect("an atom");
            assert!(at(b"moov") < at(b"mdat"), "a player can start before it has everything");
        }
    }
    // The last of them: half a second of music, the film's own sound to the end.
    assert!(level(&out, 1.2, 0.5).await > -40.0);
    ffmpeg().mix(&film, &exact, false, &out).await.expect("mixed");
    assert!(level(&out, 0.0, 2.0).await < -80.0, "its own sound went");
    assert!(ffmpeg().mix(&long, &exact, false, &out).await.is_err(), "a song is no film");
    assert!(ffmpeg().mix(&film, &PLAIN.make(path, "mute.mp4").await, false, &out).await.is_err());
}
