//! Files, and the FFmpeg runs that make and check them.

use crate::declared::By::{Database, Programs};
use crate::declared::{Declared, WORK_BUCKETS, counter, gauge, of, open, seconds};
use crate::names;
use metrics::Unit;

pub(super) const ALL: &[Declared] = &[
    seconds(
        names::FFMPEG_SECONDS,
        Programs,
        &[open("operation")],
        WORK_BUCKETS,
        "Wall time of one FFmpeg or ffprobe run.",
    ),
    counter(
        names::FFMPEG_RUNS,
        Programs,
        &[open("operation"), open("outcome")],
        "FFmpeg and ffprobe runs by how they ended: ok, failed, timed_out, or not started.",
    ),
    counter(
        names::FFMPEG_MEDIA_SECONDS,
        Programs,
        &[open("operation")],
        "Seconds of film or sound that went through FFmpeg, where its length is known; by the wall time of the same operation: its speed.",
    )
    .unit(Unit::Seconds),
    counter(
        names::MEDIA_BYTES,
        Programs,
        &[of("direction", &["in", "out"])],
        "Media bytes streamed by this process: into the store, or out of it.",
    )
    .unit(Unit::Bytes),
    gauge(
        names::STORAGE_BYTES,
        Database,
        &[of("type", &["video", "audio", "image", "other"])],
        "Bytes in the media store; each content counts once.",
    )
    .unit(Unit::Bytes),
    gauge(
        names::STORAGE_FILES,
        Database,
        &[of("type", &["video", "audio", "image", "other"])],
        "Files in the media store; each content counts once.",
    ),
];
