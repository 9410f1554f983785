//! What bytes are, by their first few. A caller's content type or file name is never believed.

/// How many of the first bytes of a file are enough to tell what it is.
pub const HEAD_BYTES: usize = 8192;

/// The largest upload, in bytes.
pub const MAX_UPLOAD_BYTES: u64 = 512 * 1024 * 1024;

/// The most pixels a picture may have: a small file can claim to be enormous, and decoding believes it.
pub const MAX_PIXELS: u64 = 100_000_000;

/// The three things we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A still picture.
    Image,
    /// A film.
    Video,
    /// Sound alone.
    Audio,
}

impl MediaKind {
    /// `image`, `video` or `audio`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

/// A recognised file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detected {
    /// What it is.
    pub kind: MediaKind,
    /// The content type to serve it with.
    pub content_type: &'static str,
    /// The usual file name extension, without a dot.
    pub extension: &'static str,
}

/// The formats we take: what FFmpeg decodes everywhere and what browsers or providers use.
const ACCEPTED: &[(&str, Detected)] = &[
    ("image/jpeg", accept(MediaKind::Image, "image/jpeg", "jpg")),
    ("image/png", accept(MediaKind::Image, "image/png", "png")),
    ("image/webp", accept(MediaKind::Image, "image/webp", "webp")),
    ("video/mp4", accept(MediaKind::Video, "video/mp4", "mp4")),
    ("video/x-m4v", accept(MediaKind::Video, "video/mp4", "mp4")),
    ("video/quicktime", accept(MediaKind::Video, "video/quicktime", "mov")),
    ("video/webm", accept(MediaKind::Video, "video/webm", "webm")),
    ("audio/mpeg", accept(MediaKind::Audio, "audio/mpeg", "mp3")),
    ("audio/x-wav", accept(MediaKind::Audio, "audio/wav", "wav")),
    ("audio/x-flac", accept(MediaKind::Audio, "audio/flac", "flac")),
    ("audio/ogg", accept(MediaKind::Audio, "audio/ogg", "ogg")),
    ("audio/opus", accept(MediaKind::Audio, "audio/ogg", "ogg")),
    ("audio/m4a", accept(MediaKind::Audio, "audio/mp4", "m4a")),
    ("audio/aac", accept(MediaKind::Audio, "audio/aac", "aac")),
];

const fn accept(kind: MediaKind, content_type: &'static str, extension: &'static str) -> Detected {
    Detected { kind, content_type, extension }
}

/// Recognises a file by its first bytes ([`HEAD_BYTES`] or all of a shorter file); `None` for everything we do
/// not take, such as HTML, SVG, playlists and archives.
pub fn detect(head: &[u8]) -> Option<Detected> {
    let mime = match iso_brand(head) {
        // `infer` knows a closed list of brands; new ones appear every year.
        Some(brand) => match brand {
            b"qt  " => "video/quicktime",
            b"M4A " | b"M4B " | b"M4P " => "audio/m4a",
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" | b"avif"
            | b"avis" | b"crx " | b"jxl " | b"jp2 " => return None,
            _ => "video/mp4",
        },
        None => infer::get(head)?.mime_type(),
    };
    ACCEPTED.iter().find(|(name, _)| *name == mime).map(|(_, detected)| *detected)
}

/// The major brand of a file of the MP4 family.
fn iso_brand(head: &[u8]) -> Option<&[u8; 4]> {
    (head.get(4..8)? == b"ftyp").then(|| head.get(8..12)?.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell() {
        let table: &[(&[u8], Option<&str>)] = &[
            (b"\xff\xd8\xff\xe0\x00\x10JFIF", Some("image/jpeg")),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Some("image/png")),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", Some("video/mp4")),
            (b"\0\0\0\x20ftypiso9\0\0\x02\0", Some("video/mp4")),
            (b"\0\0\0\x14ftypqt  \0\0\x02\0", Some("video/quicktime")),
            (b"\0\0\0\x1cftypM4A \0\0\x02\0", Some("audio/mp4")),
            (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", None),
            (b"ID3\x04\0\0\0\0\0\0", Some("audio/mpeg")),
            (b"\xff\xfb\x90\x64\0\0\0\0", Some("audio/mpeg")),
            (b"RIFF\x24\0\0\0WAVEfmt ", Some("audio/wav")),
            (b"OggS\0\x02\0\0\0\0", Some("audio/ogg")),
            (b"fLaC\0\0\0\x22", Some("audio/flac")),
            (b"<!doctype html><html><body>Sign in</body></html>", None),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
            (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", None),
            (b"ffconcat version 1.0\nfile /etc/passwd\n", None),
            (b"{\"detail\":\"not found\"}", None),
            (b"PK\x03\x04", None),
            (b"", None),
            (b"\0\0\0\x20ftyp", None),
        ];
        for (head, expected) in table {
            assert_eq!(
                detect(head).map(|found| found.content_type),
                *expected,
                "{}",
                String::from_utf8_lossy(head)
            );
        }
    }
}
