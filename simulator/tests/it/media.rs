//! The media are real: measured with ffprobe, and the pictures are the ones that were sent.

use crate::setup::{Friend, Running, photo, start, start_with};
use serde_json::{Value, json};
use spool_media::ffmpeg::Ffmpeg;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
const MUSICGEN: &str = "671ac645ce5e552cc63a54a2bbff63fcf798043055d2dac5fc9e36a837eedcfb";

async fn download(running: &Running, done: &Value, name: &str) -> PathBuf {
    assert_eq!(done["status"], "succeeded", "{done}");
    let output = done["output"].as_str().or(done["output"][0].as_str()).unwrap();
    let bytes = running.http.get(output).send().await.unwrap().bytes().await.unwrap();
    let path = running.data(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn probe(path: &Path) -> Value {
    let args = ["-show_format", "-show_streams", "-count_packets", "-of", "json", path.to_str().unwrap()];
    let text = Ffmpeg::discover(1).unwrap().ffprobe(&args, LONG).await.unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn seconds(stream: &Value) -> f64 {
    stream["duration"].as_str().unwrap().parse().unwrap()
}

/// A frame of a clip, or a still, as sixteen by nine grey pixels. Stills cannot be searched in.
async fn grey(path: &Path, second: Option<&str>, out: &Path) -> Vec<u8> {
    let mut args = second.map_or(Vec::new(), |second| vec!["-ss", second]);
    args.extend(["-i", path.to_str().unwrap(), "-frames:v", "1", "-vf"]);
    args.extend(["scale=16:9:flags=area,format=gray", "-f", "rawvideo", out.to_str().unwrap()]);
    Ffmpeg::discover(1).unwrap().run(&args, LONG).await.unwrap();
    std::fs::read(out).unwrap()
}

fn difference(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / one.len() as f64
}

#[tokio::test]
async fn veo_moves_from_the_first_picture_to_the_last() {
    let running = start().await;
    let friend = Friend::start().await;
    let first = friend.offer("first.jpg", photo("meadow-view"));
    let last = friend.offer("last.jpg", photo("living-room"));
    let input = json!({"prompt": "p", "image": first, "last_frame": last, "duration": 4, "resolution": "1080p",
        "generate_audio": false});
    let done = running.run("google/veo-3.1-fast", input).await;
    let clip = download(&running, &done, "clip.mp4").await;
    let probed = probe(&clip).await;
    let streams = probed["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 1, "no sound was asked for");
    let video = &streams[0];
    assert_eq!((video["codec_name"].as_str(), video["pix_fmt"].as_str()), (Some("h264"), Some("yuv420p")));
    assert_eq!((video["width"].as_u64(), video["height"].as_u64()), (Some(1920), Some(1080)));
    assert_eq!(
        (video["r_frame_rate"].as_str(), video["nb_read_packets"].as_str()),
        (Some("24/1"), Some("96"))
    );
    assert!((seconds(video) - 4.0).abs() < 0.01);
    let from = running.data("first.jpg");
    let to = running.data("last.jpg");
    std::fs::write(&from, photo("meadow-view")).unwrap();
    std::fs::write(&to, photo("living-room")).unwrap();
    let raw = running.data("frame.raw");
    let start = grey(&clip, None, &raw).await;
    let end = grey(&clip, Some("3.9"), &raw).await;
    // The photos are 3:2, the clip 16:9: compared after the same crop they are nearly the same.
    let (from, to) = (grey(&from, None, &raw).await, grey(&to, None, &raw).await);
    assert!(difference(&start, &from) < difference(&start, &to));
    assert!(difference(&end, &to) < difference(&end, &from));
}

#[tokio::test]
async fn veo_has_sound_when_asked_and_is_upright_when_asked() {
    let running = start().await;
    let input = json!({"prompt": "p", "duration": 6, "resolution": "720p", "aspect_ratio": "9:16"});
    let done = running.run("google/veo-3.1", input).await;
    let probed = probe(&download(&running, &done, "clip.mp4").await).await;
    let streams = probed["streams"].as_array().unwrap();
    assert_eq!((streams[0]["width"].as_u64(), streams[0]["height"].as_u64()), (Some(720), Some(1280)));
    assert_eq!(
        (streams[1]["codec_name"].as_str(), streams[1]["sample_rate"].as_str()),
        (Some("aac"), Some("48000"))
    );
    assert!((seconds(&streams[0]) - 6.0).abs() < 0.01 && (seconds(&streams[1]) - 6.0).abs() < 0.1);
}

#[tokio::test]
async fn hailuo_follows_its_picture_and_its_own_frame_rate() {
    let running = start().await;
    let friend = Friend::start().await;
    let first = friend.offer("first.jpg", photo("meadow-view"));
    let input = json!({"prompt": "p", "first_frame_image": first, "resolution": "512p"});
    let done = running.run("minimax/hailuo-02", input).await;
    let probed = probe(&download(&running, &done, "clip.mp4").await).await;
    let video = &probed["streams"][0];
    // The photo is 1920x1278.
    assert_eq!((video["width"].as_u64(), video["height"].as_u64()), (Some(770), Some(512)));
    assert_eq!(
        (video["r_frame_rate"].as_str(), video["time_base"].as_str()),
        (Some("25/1"), Some("1/12800"))
    );
    assert!((seconds(video) - 6.0).abs() < 0.01);
}

async fn music(running: &Running, input: Value) -> Value {
    let (status, created) =
        running.post("/v1/predictions", &json!({"version": MUSICGEN, "input": input})).await;
    assert_eq!(status, 201, "{created}");
    running.ended(created["id"].as_str().unwrap()).await
}

#[tokio::test]
async fn music_goes_on_from_a_window_of_its_input() {
    let running = start().await;
    let friend = Friend::start().await;
    let done = music(&running, json!({"prompt": "calm", "duration": 4})).await;
    let first = download(&running, &done, "first.wav").await;
    assert!((seconds(&probe(&first).await["streams"][0]) - 4.0).abs() < 0.05);
    let url = friend.offer("first.wav", std::fs::read(&first).unwrap());
    let input = json!({"prompt": "calm", "duration": 3, "input_audio": url, "continuation": true,
        "continuation_start": 2, "continuation_end": 4, "output_format": "mp3"});
    let done = music(&running, input.clone()).await;
    let second = download(&running, &done, "second.mp3").await;
    let probed = probe(&second).await;
    assert_eq!(probed["streams"][0]["codec_name"], "mp3");
    assert!((seconds(&probed["streams"][0]) - 5.0).abs() < 0.15, "{probed}");
    let mut beyond = input;
    beyond["continuation_end"] = json!(9);
    assert_eq!(music(&running, beyond).await["status"], "failed");
}

#[tokio::test]
async fn cheap_clips_are_all_different_and_all_whole() {
    let running = start_with(|config| config.cheap_media = true).await;
    let input = json!({"prompt": "p", "duration": 4, "resolution": "720p"});
    let one = running.run("google/veo-3.1-fast", input.clone()).await;
    let other = running.run("google/veo-3.1-fast", input).await;
    let one = download(&running, &one, "one.mp4").await;
    let other = download(&running, &other, "other.mp4").await;
    assert_ne!(std::fs::read(&one).unwrap(), std::fs::read(&other).unwrap());
    for clip in [one, other] {
        let probed = probe(&clip).await;
        assert!((seconds(&probed["streams"][0]) - 4.0).abs() < 0.01);
        let args = ["-xerror", "-i", clip.to_str().unwrap(), "-map", "0", "-c", "copy", "-f", "null", "-"];
        Ffmpeg::discover(1).unwrap().run(&args, LONG).await.unwrap();
    }
}

#[tokio::test]
async fn pictures_and_speech() {
    let running = start().await;
    let input = json!({"prompt": "p", "aspect_ratio": "16:9", "num_outputs": 2, "output_format": "webp"});
    let done = running.run("black-forest-labs/flux-schnell", input).await;
    assert_eq!(done["output"].as_array().unwrap().len(), 2);
    let probed = probe(&download(&running, &done, "image.webp").await).await;
    assert_eq!(
        (probed["streams"][0]["width"].as_u64(), probed["streams"][0]["height"].as_u64()),
        (Some(1360), Some(768))
    );
    let text = "Welcome to the lodge. Come in and look around.";
    let done = running.run("minimax/speech-02-hd", json!({"text": text})).await;
    assert_eq!(done["metrics"]["character_input_count"], text.len());
    let probed = probe(&download(&running, &done, "speech.mp3").await).await;
    assert!((seconds(&probed["streams"][0]) - text.len() as f64 / 15.0).abs() < 0.3);
}

#[tokio::test]
async fn what_is_no_picture_fails_like_a_model() {
    let running = start().await;
    let friend = Friend::start().await;
    let url = friend.offer("first.jpg", b"<html>no picture</html>".to_vec());
    let done = running.run("google/veo-3.1-fast", json!({"prompt": "p", "image": url})).await;
    assert_eq!(
        (done["status"].as_str(), done["error"].as_str()),
        (Some("failed"), Some("RuntimeError: cannot identify image file"))
    );
}
