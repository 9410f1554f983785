//! A campaign's photo as the planner sees it, and what its name and tags say it shows.

use uuid::Uuid;

/// A photo to plan with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// The asset.
    pub asset_id: Uuid,
    /// File or display name.
    pub name: String,
    /// What people said about it.
    pub tags: Vec<String>,
}

/// Room and place types with the words that give them away, in the order a viewing walks through.
const TYPES: &[(&str, &[&str])] = &[
    ("exterior", &["exterior", "facade", "front", "outside", "building", "aerial"]),
    ("entrance", &["entrance", "lobby", "hall", "door"]),
    ("living_room", &["living", "lounge", "sofa", "fireplace"]),
    ("dining", &["dining", "table"]),
    ("kitchen", &["kitchen", "cooking"]),
    ("bedroom", &["bedroom", "bed", "suite"]),
    ("bathroom", &["bathroom", "bath", "shower", "spa"]),
    ("interior", &["interior", "inside", "room", "study", "office"]),
    ("terrace", &["terrace", "balcony", "patio", "deck"]),
    ("garden", &["garden", "yard", "flower", "dandelion"]),
    ("pool", &["pool"]),
    (
        "view",
        &["view", "meadow", "mountain", "forest", "lake", "sea", "trail", "stream", "sunset", "landscape"],
    ),
];

/// Where in a viewing `scene_type` comes; unknown ones last.
pub(crate) fn type_position(scene_type: &str) -> usize {
    TYPES.iter().position(|(name, _)| *name == scene_type).unwrap_or(TYPES.len())
}

impl Photo {
    /// The words of its tags and name, lower case.
    fn words(&self) -> Vec<String> {
        let stem = self.name.rsplit_once('.').map_or(self.name.as_str(), |(stem, _)| stem);
        self.tags
            .iter()
            .map(String::as_str)
            .chain(std::iter::once(stem))
            .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    }

    /// Whether it shows `scene_type`: by the type's own name or by one of its words.
    pub fn shows(&self, scene_type: &str) -> bool {
        let wanted = scene_type.to_lowercase();
        let keys = TYPES.iter().find(|(name, _)| *name == wanted).map_or(&[][..], |(_, keys)| *keys);
        let own: Vec<&str> =
            wanted.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
        let words = self.words();
        let has = |key: &str| words.iter().any(|word| word == key || word.strip_suffix('s') == Some(key));
        keys.iter().any(|key| has(key)) || (!own.is_empty() && own.iter().all(|part| has(part)))
    }

    /// The first type, in the order of a viewing, that it shows.
    pub fn scene_type(&self) -> Option<&'static str> {
        TYPES.iter().map(|(name, _)| *name).find(|name| self.shows(name))
    }

    /// A short title for people: `living-room.jpg` is "Living room".
    pub fn title(&self) -> String {
        let stem = self.name.rsplit_once('.').map_or(self.name.as_str(), |(stem, _)| stem);
        let words = stem
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let mut chars = words.chars();
        match chars.next() {
            Some(first) => first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).take(60).collect(),
            None => "Photo".to_owned(),
        }
    }
}

/// Sorts by name as people count: `photo-2` before `photo-10`; equal names by id.
pub fn sort_by_name(photos: &mut [Photo]) {
    photos.sort_by_cached_key(|photo| (natural_key(&photo.name), photo.asset_id));
}

/// A key whose order is alphabetical, with runs of digits ordered by value.
fn natural_key(name: &str) -> Vec<(u64, String)> {
    let mut key: Vec<(u64, String)> = vec![(0, String::new())];
    let mut digits = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            key.push((digits.parse().unwrap_or(u64::MAX), String::new()));
            digits.clear();
        }
        if let Some((_, text)) = key.last_mut() {
            text.push(c);
        }
    }
    if !digits.is_empty() {
        key.push((digits.parse().unwrap_or(u64::MAX), String::new()));
    }
    key
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn photo(name: &str, tags: &[&str]) -> Photo {
        let asset_id = Uuid::new_v5_like(name);
        Photo { asset_id, name: name.to_owned(), tags: tags.iter().map(|t| (*t).to_owned()).collect() }
    }

    trait FromName {
        fn new_v5_like(name: &str) -> Uuid;
    }
    impl FromName for Uuid {
        fn new_v5_like(name: &str) -> Uuid {
            let mut bytes = [0u8; 16];
            for (i, b) in name.bytes().enumerate() {
                bytes[i % 16] = bytes[i % 16].wrapping_mul(31).wrapping_add(b);
            }
            Uuid::from_bytes(bytes)
        }
    }

    #[test]
    fn names_and_tags_tell_what_it_shows() {
        assert_eq!(photo("living-room.jpg", &[]).scene_type(), Some("living_room"));
        assert_eq!(photo("IMG_0042.jpg", &["Kitchen"]).scene_type(), Some("kitchen"));
        assert_eq!(photo("exterior-window.jpg", &[]).scene_type(), Some("exterior"));
        assert_eq!(photo("IMG_0042.jpg", &[]).scene_type(), None);
        assert!(photo("x.jpg", &["wine cellar"]).shows("wine_cellar"));
        assert!(!photo("bedside.jpg", &[]).shows("bedroom"));
    }

    #[test]
    fn numbers_sort_by_value() {
        let mut photos = vec![photo("p-10.jpg", &[]), photo("P-2.jpg", &[]), photo("a.jpg", &[])];
        sort_by_name(&mut photos);
        assert_eq!(
            photos.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
            ["a.jpg", "P-2.jpg", "p-10.jpg"]
        );
    }

    #[test]
    fn titles_are_for_people() {
        assert_eq!(photo("living-room.jpg", &[]).title(), "Living room");
        assert_eq!(photo("___.jpg", &[]).title(), "Photo");
    }
}
