//! Width and height from the first bytes of a picture, before anything decodes it: a few kilobytes can claim
//! gigapixels (a decompression bomb), and a decoder believes them.

/// Pixels across and down; `None` when the header is not one of JPEG, PNG or WebP, or is cut off.
pub fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some((big32(bytes, 16)?, big32(bytes, 20)?)),
        [b'R', b'I', b'F', b'F', ..] => webp(bytes),
        [0xff, 0xd8, ..] => jpeg(bytes),
        _ => None,
    }
}

fn big16(bytes: &[u8], at: usize) -> Option<u32> {
    let pair = bytes.get(at..at + 2)?;
    Some(u32::from(pair[0]) << 8 | u32::from(pair[1]))
}

fn big32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(big16(bytes, at)? << 16 | big16(bytes, at + 2)?)
}

fn little16(bytes: &[u8], at: usize) -> Option<u32> {
    let pair = bytes.get(at..at + 2)?;
    Some(u32::from(pair[1]) << 8 | u32::from(pair[0]))
}

/// Walks the segments to the frame header. The largest one counts, should there be several.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        // Any number of fill bytes may stand before a marker.
        while bytes.get(at)? == &0xff && bytes.get(at + 1)? == &0xff {
            at += 1;
        }
        if bytes.get(at)? != &0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        at += 2;
        match marker {
            // Markers that stand alone.
            0x01 | 0xd0..=0xd8 => {}
            // Start of frame, except the Huffman, arithmetic and extension tables among them.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((big16(bytes, at + 5)?, big16(bytes, at + 3)?));
            }
            // End of image or start of scan: no frame header before the data.
            0xd9 | 0xda => return None,
            _ => at += big16(bytes, at)? as usize,
        }
    }
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(8..12)? != b"WEBP" {
        return None;
    }
    match bytes.get(12..16)? {
        b"VP8 " => Some((little16(bytes, 26)? & 0x3fff, little16(bytes, 28)? & 0x3fff)),
        b"VP8L" => {
            let packed = little16(bytes, 21)? | little16(bytes, 23)? << 16;
            Some(((packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => {
            let wide = little16(bytes, 24)? | u32::from(*bytes.get(26)?) << 16;
            let high = little16(bytes, 27)? | u32::from(*bytes.get(29)?) << 16;
            Some((wide + 1, high + 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_the_size() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
        assert_eq!(dimensions(&png), Some((50_000, 50_000)));

        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xff, 0xc4, 0, 2];
        jpeg.extend([0xff, 0xc2, 0, 11, 8, 0x04, 0x38, 0x07, 0x80, 1, 1, 0x11, 0]);
        assert_eq!(dimensions(&jpeg), Some((1920, 1080)));

        let lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x3f\xc1\x3b\x00";
        assert_eq!(dimensions(lossless), Some((320, 240)));
        let extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x3f\x01\0\xef\0\0";
        assert_eq!(dimensions(extended), Some((320, 240)));
    }

    #[test]
    fn what_is_cut_off_or_foreign_has_none() {
        for bytes in [
            &b""[..],
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xda\0\0",
            b"\xff\xd8\xff\xe0\xff\xff",
            b"\xff\xd8 text",
            b"RIFF\0\0\0\0WAVEfmt ",
            b"<svg/>",
        ] {
            assert_eq!(dimensions(bytes), None);
        }
    }
}
