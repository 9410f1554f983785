//! The generated part of a page: everything between two markers.

use std::path::Path;

use crate::figures::BoxError;

/// Puts `text` between `<!-- name: begin ... -->` and `<!-- name: end -->`.
///
/// # Errors
/// When the page has no such markers.
pub(crate) fn put(page: &Path, name: &str, text: &str) -> Result<(), BoxError> {
    let old = std::fs::read_to_string(page)?;
    let new =
        replaced(&old, name, text).ok_or_else(|| format!("{} has no markers {name}", page.display()))?;
    std::fs::write(page, new)?;
    Ok(())
}

fn replaced(page: &str, name: &str, text: &str) -> Option<String> {
    let begin = page.find(&format!("<!-- {name}: begin"))?;
    let begin = begin + page[begin..].find("-->")? + "-->".len();
    let end = begin + page[begin..].find(&format!("<!-- {name}: end"))?;
    Some(format!("{}\n\n{}\n\n{}", &page[..begin], text.trim(), &page[end..]))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = "before <!-- figures: begin (made) --> old <!-- figures: end --> after";
        let new = replaced(page, "figures", "new\n").expect("markers");
        assert_eq!(new, "before <!-- figures: begin (made) -->\n\nnew\n\n<!-- figures: end --> after");
        assert_eq!(replaced(&new, "figures", "new"), Some(new.clone()));
        assert_eq!(replaced("none", "figures", "new"), None);
    }
}
