//! What may come in at most. Numbers with their reasons; the router and the intake hold to them.

/// JSON and other small bodies.
pub const MOST_JSON_BYTES: usize = 1 << 20;
/// One media file.
pub const MOST_MEDIA_BYTES: u64 = spool_media::kind::MAX_UPLOAD_BYTES;
/// Boundary lines and small fields around a file in a form.
pub const FORM_SLACK_BYTES: usize = 1 << 20;
/// A picture. Cameras make 60 megapixels and 40 MB; more would only be scaled down.
pub const MOST_IMAGE_BYTES: u64 = 64 << 20;
/// Pixels of a video frame: 8K.
pub const MOST_VIDEO_PIXELS: u64 = 7680 * 4320;
/// Seconds of a video or a sound.
pub const LONGEST_MEDIA_SECONDS: u64 = 3600;
