//! Which program wrote a file, told by its tables.

use super::table::Table;
use crate::error::ImportError;
use std::path::Path;

/// The two systems that Spool replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// The Python program's `scenes.db`.
    Scenes,
    /// The Elixir program's database.
    Elixir,
}

impl System {
    /// Its name on the command line and in the register.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scenes => "scenes",
            Self::Elixir => "elixir",
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Scenes => "the Python system (scenes.db)",
            Self::Elixir => "the Elixir system",
        }
    }

    fn of(tables: &[Table]) -> Option<Self> {
        let table = |name: &str| tables.iter().find(|table| table.name == name);
        let has = |name: &str, column: &str| table(name).is_some_and(|table| table.has(column));
        if has("jobs", "parameters") && has("sub_jobs", "job_id") {
            return Some(Self::Elixir);
        }
        let python = table("generated_videos").is_some()
            || table("generated_scenes").is_some()
            || table("creative_briefs").is_some()
            || has("clients", "user_id")
            || has("assets", "asset_type");
        python.then_some(Self::Scenes)
    }

    pub(crate) fn check(self, path: &Path, tables: &[Table]) -> Result<(), ImportError> {
        let why = match Self::of(tables) {
            Some(found) if found == self => return Ok(()),
            Some(found) => {
                format!("it looks like one of {}: use `spool import {}`", found.described(), found.as_str())
            }
            None if tables.is_empty() => "it has no tables".to_owned(),
            None => {
                let names: Vec<&str> = tables.iter().take(12).map(|table| table.name.as_str()).collect();
                format!("none of its tables is known (it has {})", names.join(", "))
            }
        };
        Err(ImportError::Foreign { path: path.to_owned(), expected: self.described(), why })
    }

    /// Which of the documented shapes the file has, for people: the import itself looks at each column.
    pub(crate) fn generation(self, tables: &[Table]) -> &'static str {
        let table = |name: &str| tables.iter().find(|table| table.name == name);
        let assets = table("assets");
        match self {
            Self::Elixir if assets.is_some_and(|assets| assets.has("tags")) => {
                "with asset names, tags and sizes"
            }
            Self::Elixir => "with the first columns of assets",
            Self::Scenes if assets.is_some_and(|assets| assets.has("blob_data")) => {
                "third: media in the rows of assets"
            }
            Self::Scenes if table("asset_blobs").is_some() => "second: media in asset_blobs",
            Self::Scenes => "first: media in files and at addresses",
        }
    }
}
