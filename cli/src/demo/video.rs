//! What the finished file is, as ffprobe sees it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::supervisor::process::Program;

const PROBE_LIMIT: Duration = Duration::from_secs(30);

/// Length, picture and codecs in one line; `None` without ffprobe on this machine.
pub(crate) async fn describe(path: &Path) -> Option<String> {
    let shown = Program::new("ffprobe")
        .args(["-v", "error", "-print_format", "json", "-show_format", "-show_streams"])
        .arg(path)
        .output(PROBE_LIMIT)
        .await
        .ok()?;
    summary(&serde_json::from_str(&shown).ok()?)
}

fn summary(probe: &Value) -> Option<String> {
    let seconds: f64 = probe["format"]["duration"].as_str()?.parse().ok()?;
    let streams = probe["streams"].as_array()?;
    let of_kind = |kind: &str| streams.iter().find(|stream| stream["codec_type"] == kind);
    let video = of_kind("video")?;
    let codecs: Vec<_> = [Some(video), of_kind("audio")]
        .into_iter()
        .flatten()
        .filter_map(|stream| stream["codec_name"].as_str())
        .collect();
    Some(format!("{seconds:.1} s, {}x{}, {}", video["width"], video["height"], codecs.join(" + ")))
}

#[cfg(test)]
mod tests {
    use super::summary;
    use serde_json::json;

    #[test]
    fn a_probe_becomes_one_line() {
        let probe = json!({
            "format": {"duration": "16.021000"},
            "streams": [
                {"codec_type": "video", "codec_name": "h264", "width": 1920, "height": 1080},
                {"codec_type": "audio", "codec_name": "aac"},
            ],
        });
        assert_eq!(summary(&probe).as_deref(), Some("16.0 s, 1920x1080, h264 + aac"));
        assert_eq!(summary(&json!({})), None);
    }
}
