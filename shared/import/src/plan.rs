//! Which tables are read, in which order (owners before what they own), and what their rows are.

use crate::source::system::System;
use crate::source::table::Table;

/// What the rows of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    Client,
    Campaign,
    Asset,
    /// With its rows of `sub_jobs`.
    ElixirJob,
    /// With its rows of `job_scenes` and `video_sub_jobs`.
    PythonVideo,
    Brief,
    /// Kept in the register with their media; the sentence says why they have no row of ours.
    Beside(&'static str),
    /// Not read; the sentence says why.
    Skipped(&'static str),
}

use Treatment::{Asset, Beside, Brief, Campaign, Client, ElixirJob, PythonVideo, Skipped};

const PEOPLE: &str = "people and their keys are not carried over: make keys with `spool keys create`";
const PART: &str = "what it belongs to is not in the file";
const PHYSICS: &str = "there is no physics simulation here";

const ELIXIR: &[(&str, Treatment)] = &[
    ("clients", Client),
    ("campaigns", Campaign),
    ("assets", Asset),
    ("jobs", ElixirJob),
    ("sub_jobs", Beside(PART)),
    ("users", Beside(PEOPLE)),
];

const SCENES: &[(&str, Treatment)] = &[
    ("clients", Client),
    ("campaigns", Campaign),
    ("assets", Asset),
    ("client_assets", Asset),
    ("campaign_assets", Asset),
    ("uploaded_assets", Asset),
    ("generated_images", Asset),
    ("generated_audio", Asset),
    ("generated_videos", PythonVideo),
    ("job_scenes", Beside(PART)),
    ("video_sub_jobs", Beside(PART)),
    ("creative_briefs", Brief),
    ("asset_blobs", Beside("no row names it")),
    ("generated_scenes", Beside(PHYSICS)),
    ("genesis_videos", Beside(PHYSICS)),
    ("users", Beside(PEOPLE)),
    ("api_keys", Beside(PEOPLE)),
];

/// Bookkeeping of the frameworks.
const OWN: &[&str] = &["schema_migrations", "alembic_version"];

/// Every table of the file in the order in which it is read.
pub(crate) fn order(system: System, tables: &[Table]) -> Vec<(&Table, Treatment)> {
    let known = match system {
        System::Elixir => ELIXIR,
        System::Scenes => SCENES,
    };
    let named = known
        .iter()
        .filter_map(|(name, treatment)| Some((tables.iter().find(|table| table.name == *name)?, *treatment)));
    let others =
        tables.iter().filter(|table| known.iter().all(|(name, _)| table.name != *name)).map(|table| {
            let is_own = OWN.contains(&table.name.as_str());
            (
                table,
                if is_own {
                    Skipped("the older program's own bookkeeping")
                } else {
                    Beside("there is no table for it here")
                },
            )
        });
    let all = named.chain(others);
    all.map(|(table, treatment)| match treatment {
        _ if !table.has_rowid => (
            table,
            Skipped("it is a table WITHOUT ROWID, which neither system made: its rows cannot be paged"),
        ),
        treatment => (table, treatment),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_its_turn_once() {
        let table = |name: &str, has_rowid| Table {
            name: name.into(),
            columns: vec![],
            key: vec![],
            has_rowid,
            rows: 0,
        };
        let tables = [
            table("assets", true),
            table("campaigns", true),
            table("clients", true),
            table("notes", true),
            table("odd", false),
            table("schema_migrations", true),
        ];
        let order: Vec<_> = order(System::Elixir, &tables)
            .into_iter()
            .map(|(table, how)| (table.name.as_str(), how))
            .collect();
        assert_eq!(order[..3], [("clients", Client), ("campaigns", Campaign), ("assets", Asset)]);
        assert_eq!(order.len(), tables.len());
        assert!(matches!(order[3], ("notes", Beside(_))), "{order:?}");
        assert!(matches!(order[4..], [("odd", Skipped(_)), ("schema_migrations", Skipped(_))]), "{order:?}");
    }
}
