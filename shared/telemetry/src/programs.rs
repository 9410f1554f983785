//! What each program says of itself: its connections, its disks, its FFmpeg runs.

use std::path::PathBuf;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use tokio_util::sync::CancellationToken;

use crate::names;

/// How often it is looked how full the disks are.
const LOOK: Duration = Duration::from_secs(15);

/// Shows how a pool stands; called when somebody asks for the metrics.
pub fn show_pool(connections: u32, idle: usize, most: u32) {
    let idle = u32::try_from(idle).unwrap_or(u32::MAX);
    gauge!(names::DB_POOL_CONNECTIONS, "state" => "idle").set(idle);
    gauge!(names::DB_POOL_CONNECTIONS, "state" => "used").set(connections.saturating_sub(idle));
    gauge!(names::DB_POOL_MAX).set(most);
}

/// Shows how full the disks of these places are, until `stop`. A disk that does not answer keeps its last figures.
pub fn watch_disks(places: Vec<(&'static str, PathBuf)>, stop: CancellationToken) {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let places = places.clone();
            // A network disk may hang: it must not hold up anything else, and no second look joins the first.
            let look = tokio::task::spawn_blocking(move || places.iter().for_each(show_disk));
            stop.run_until_cancelled(look).await;
        }
    });
}

fn show_disk((place, path): &(&'static str, PathBuf)) {
    match nix::sys::statvfs::statvfs(path) {
        Ok(disk) => {
            let block = disk.fragment_size() as f64;
            gauge!(names::DISK_FREE, "place" => *place).set(disk.blocks_available() as f64 * block);
            gauge!(names::DISK_SIZE, "place" => *place).set(disk.blocks() as f64 * block);
        }
        Err(error) => {
            tracing::debug!(place, file = %path.display(), %error, "cannot tell how full this disk is");
        }
    }
}

/// Counts a run of FFmpeg. `media` is how much film or sound went through, where that is known.
pub fn ffmpeg_ran(operation: &'static str, outcome: &'static str, took: Duration, media: Option<Duration>) {
    histogram!(names::FFMPEG_SECONDS, "operation" => operation).record(took);
    counter!(names::FFMPEG_RUNS, "operation" => operation, "outcome" => outcome).increment(1);
    if let Some(media) = media.filter(|_| outcome == "ok") {
        // Counters are whole numbers: what is lost here is less than half a second of each run.
        counter!(names::FFMPEG_MEDIA_SECONDS, "operation" => operation)
            .increment(media.as_secs_f64().round() as u64);
    }
}

/// Media that came in.
pub fn bytes_in(count: u64) {
    counter!(names::MEDIA_BYTES, "direction" => "in").increment(count);
}

/// Media that went out.
pub fn bytes_out(count: u64) {
    counter!(names::MEDIA_BYTES, "direction" => "out").increment(count);
}
