//! One field of a partial change, for columns that may be null: left alone, emptied, or set.

use serde::{Deserialize, Deserializer};

/// What becomes of a nullable column. In JSON a field that is not there keeps it, `null` empties it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Edit<T> {
    /// As it was.
    #[default]
    Keep,
    /// Null from now on.
    Clear,
    /// This from now on.
    Set(T),
}

impl<T> Edit<T> {
    /// Whether anything is to be written, and what.
    pub(crate) fn parts(&self) -> (bool, Option<&T>) {
        match self {
            Self::Keep => (false, None),
            Self::Clear => (true, None),
            Self::Set(value) => (true, Some(value)),
        }
    }

    /// Whether something is to be written.
    pub fn changes(&self) -> bool {
        !matches!(self, Self::Keep)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Edit<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Body {
        #[serde(default)]
        note: Edit<String>,
    }

    #[test]
    fn absent_null_and_given_differ() {
        let read = |text: &str| serde_json::from_str::<Body>(text).expect("a body").note;
        assert_eq!(read("{}"), Edit::Keep);
        assert_eq!(read(r#"{"note": null}"#), Edit::Clear);
        assert_eq!(read(r#"{"note": "x"}"#), Edit::Set("x".to_owned()));
    }
}
