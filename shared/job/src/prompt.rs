//! Prompts that need no language model: what a shot should look and sound like, from what its
//! photos show.

use crate::photo::Photo;

fn camera(scene_type: Option<&str>) -> &'static str {
    match scene_type {
        Some("exterior" | "entrance") => "Slow push-in towards the building",
        Some("view" | "garden" | "pool" | "terrace") => "Gentle aerial glide over the scenery",
        Some("bathroom" | "bedroom") => "Calm lateral slide through the room",
        Some(_) => "Steady dolly through the room",
        None => "Smooth, steady camera move",
    }
}

/// The prompt of a clip from one photo to another, on one line.
pub fn render(scene_type: Option<&str>, first: &Photo, last: Option<&Photo>, style: Option<&str>) -> String {
    let path = match last {
        Some(last) if last.asset_id != first.asset_id => {
            format!("from {} to {}", first.title().to_lowercase(), last.title().to_lowercase())
        }
        _ => format!("of {}", first.title().to_lowercase()),
    };
    let style = style.map(|style| format!(", {style} style")).unwrap_or_default();
    one_line(&format!(
        "{} {path}{style}. Natural light, true colours, photorealistic, no text, no people appearing, no cuts.",
        camera(scene_type)
    ))
}

/// The prompt of a scene's music.
pub fn music(scene_type: Option<&str>, genre: Option<&str>) -> String {
    let mood = match scene_type {
        Some("exterior" | "entrance" | "view") => "open and inviting",
        Some("bedroom" | "bathroom" | "pool") => "calm and airy",
        Some("kitchen" | "dining" | "living_room") => "warm and homely",
        _ => "gentle and bright",
    };
    one_line(&format!(
        "{} instrumental, acoustic piano and soft strings, {mood}, no vocals",
        genre.unwrap_or("uplifting")
    ))
}

/// Collapses white space: providers treat line breaks in prompts differently.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::tests::photo;

    #[test]
    fn a_pair_names_both_ends() {
        let (a, b) = (photo("exterior.jpg", &[]), photo("living-room.jpg", &[]));
        let text = render(Some("exterior"), &a, Some(&b), Some("modern\n"));
        assert!(
            text.starts_with("Slow push-in towards the building from exterior to living room, modern style."),
            "{text}"
        );
        assert!(!text.contains('\n'));
    }
}
