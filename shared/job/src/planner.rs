//! The deterministic planner: photos in, storyboard out. It groups by what photos show and orders by
//! name, so that the same photos always make the same film; a language model may replace it per job.

use crate::photo::{Photo, sort_by_name, type_position};
use crate::prompt;
use crate::storyboard::{PlannedScene, Storyboard};

/// Default types of a property film, in order.
pub const DEFAULT_PROPERTY_TYPES: &[&str] =
    &["exterior", "interior", "kitchen", "bedroom", "bathroom", "living_room"];

/// Style that all scenes share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Direction {
    /// Such as "modern".
    pub style: Option<String>,
    /// Such as "upbeat".
    pub music_genre: Option<String>,
    /// Length of each shot, in milliseconds.
    pub clip_ms: u32,
}

/// Why no storyboard can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A pair needs two.
    #[error("{found} image(s) in the campaign; image pairs need at least 2")]
    TooFewImages {
        /// How many there are.
        found: usize,
    },
    /// There is nothing to show.
    #[error("the campaign has no images")]
    NoImages,
    /// Not one photo shows any of the types.
    #[error(
        "no photo shows any of {types}: tag the photos, name them after what they show, or ask for other types"
    )]
    NothingMatches {
        /// The types asked for.
        types: String,
    },
}

/// Disjoint pairs: photos grouped by what they show (unknown last), by name within a group; a group's
/// odd photo joins the next group. When there are more pairs than asked for, they are taken evenly.
pub fn image_pairs(
    photos: &[Photo],
    num_pairs: usize,
    direction: &Direction,
) -> Result<Storyboard, PlanError> {
    if photos.len() < 2 {
        return Err(PlanError::TooFewImages { found: photos.len() });
    }
    let ordered = grouped_by_tags(photos);
    let pairs: Vec<&[Photo]> = ordered.chunks_exact(2).collect();
    let take = num_pairs.clamp(1, pairs.len());
    let scenes = (0..take)
        .map(|i| pairs[i * pairs.len() / take])
        .map(|pair| scene(pair[0].scene_type(), &pair[0], Some(&pair[1]), direction))
        .collect();
    Ok(Storyboard { scenes })
}

/// One scene per type that a photo shows, in the order of `types`: from its first photo to its
/// second. No photo is used twice.
pub fn property_photos(
    photos: &[Photo],
    types: &[String],
    direction: &Direction,
) -> Result<Storyboard, PlanError> {
    if photos.is_empty() {
        return Err(PlanError::NoImages);
    }
    let (scenes, _) = typed_scenes(photos, types, direction);
    if scenes.is_empty() {
        return Err(PlanError::NothingMatches { types: types.join(", ") });
    }
    Ok(Storyboard { scenes })
}

/// `num_scenes` scenes: those of the types first, then what is left in pairs by name.
pub fn campaign(
    photos: &[Photo],
    types: &[String],
    num_scenes: usize,
    direction: &Direction,
) -> Result<Storyboard, PlanError> {
    if photos.is_empty() {
        return Err(PlanError::NoImages);
    }
    let (mut scenes, rest) = typed_scenes(photos, types, direction);
    scenes.extend(rest.chunks(2).map(|pair| scene(pair[0].scene_type(), &pair[0], pair.get(1), direction)));
    scenes.truncate(num_scenes.max(1));
    Ok(Storyboard { scenes })
}

fn typed_scenes(
    photos: &[Photo],
    types: &[String],
    direction: &Direction,
) -> (Vec<PlannedScene>, Vec<Photo>) {
    let mut rest = photos.to_vec();
    sort_by_name(&mut rest);
    let mut scenes = Vec::new();
    for scene_type in types {
        let (mut shown, others): (Vec<Photo>, Vec<Photo>) =
            rest.into_iter().partition(|p| p.shows(scene_type));
        rest = others;
        if shown.len() > 2 {
            rest.extend(shown.split_off(2));
            sort_by_name(&mut rest);
        }
        if let Some(first) = shown.first() {
            scenes.push(scene(Some(scene_type), first, shown.get(1), direction));
        }
    }
    (scenes, rest)
}

/// Name order when nothing is tagged; otherwise by what the tags say, in the order of a viewing.
fn grouped_by_tags(photos: &[Photo]) -> Vec<Photo> {
    let mut ordered = photos.to_vec();
    sort_by_name(&mut ordered);
    let group = |photo: &Photo| {
        let tagged = Photo { name: String::new(), ..photo.clone() };
        if photo.tags.is_empty() { None } else { tagged.scene_type() }
    };
    let order = |found: Option<&str>| found.map_or(usize::MAX, type_position);
    ordered.sort_by_cached_key(|photo| order(group(photo)));
    ordered
}

fn scene(
    scene_type: Option<&str>,
    first: &Photo,
    last: Option<&Photo>,
    direction: &Direction,
) -> PlannedScene {
    let title = match last {
        Some(last) => format!("{} to {}", first.title(), last.title().to_lowercase()),
        None => first.title(),
    };
    PlannedScene {
        description: format!("{title}, {} s", f64::from(direction.clip_ms) / 1000.0),
        title,
        scene_type: scene_type.map(ToOwned::to_owned),
        prompt: prompt::render(scene_type, first, last, direction.style.as_deref()),
        music_prompt: prompt::music(scene_type, direction.music_genre.as_deref()),
        duration_ms: direction.clip_ms,
        first_asset_id: first.asset_id,
        last_asset_id: last.map(|photo| photo.asset_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::tests::photo;
    use proptest::prelude::*;

    const LODGE: &[&str] = &[
        "dining-fig.jpg",
        "exterior-window.jpg",
        "forest-stream.jpg",
        "garden-dandelion.jpg",
        "living-room.jpg",
        "meadow-view.jpg",
        "mountain-trail.jpg",
        "terrace-sunset.jpg",
    ];

    fn lodge() -> Vec<Photo> {
        LODGE.iter().rev().map(|name| photo(name, &[])).collect()
    }

    fn direction() -> Direction {
        Direction { clip_ms: 4000, ..Direction::default() }
    }

    #[test]
    fn untagged_photos_pair_in_name_order() {
        let board = image_pairs(&lodge(), 10, &direction()).unwrap();
        let titles: Vec<&str> = board.scenes.iter().map(|s| s.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "Dining fig to exterior window",
                "Forest stream to garden dandelion",
                "Living room to meadow view",
                "Mountain trail to terrace sunset"
            ]
        );
        assert_eq!(board.total_ms(), 16_000);
    }

    #[test]
    fn tags_group_pairs() {
        let photos = [
            photo("a.jpg", &["kitchen"]),
            photo("b.jpg", &["front"]),
            photo("c.jpg", &["kitchen"]),
            photo("d.jpg", &["facade"]),
        ];
        let board = image_pairs(&photos, 2, &direction()).unwrap();
        assert_eq!(board.scenes[0].title, "B to d");
        assert_eq!(board.scenes[1].title, "A to c");
    }

    #[test]
    fn property_types_choose_and_order() {
        let types = ["living_room", "exterior", "kitchen"].map(str::to_owned);
        let board = property_photos(&lodge(), &types, &direction()).unwrap();
        let kinds: Vec<_> = board.scenes.iter().map(|s| s.scene_type.as_deref().unwrap()).collect();
        assert_eq!(kinds, ["living_room", "exterior"]);
        let none = property_photos(&lodge(), &["sauna".to_owned()], &direction());
        assert!(matches!(none, Err(PlanError::NothingMatches { .. })));
    }

    #[test]
    fn a_campaign_film_fills_up_with_what_is_left() {
        let types: Vec<String> = DEFAULT_PROPERTY_TYPES.iter().map(|t| (*t).to_owned()).collect();
        let board = campaign(&lodge(), &types, 4, &direction()).unwrap();
        assert_eq!(board.scenes.len(), 4);
    }

    proptest! {
        #[test]
        fn pairs_are_disjoint_and_as_many_as_possible(count in 2usize..60, asked in 1usize..40) {
            let photos: Vec<Photo> = (0..count).map(|i| photo(&format!("p{i}.jpg"), &[])).collect();
            let board = image_pairs(&photos, asked, &direction()).unwrap();
            prop_assert_eq!(board.scenes.len(), asked.min(count / 2));
            let mut used: Vec<_> = board.scenes.iter().flat_map(|s| [Some(s.first_asset_id), s.last_asset_id]).collect();
            let all = used.len();
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), all);
        }
    }
}
