//! What a row of an older system becomes here. Pure: no file, no database, no clock.

pub(crate) mod accounts;
pub(crate) mod asset;
pub(crate) mod brief;
pub(crate) mod elixir_job;
pub(crate) mod ids;
pub(crate) mod job;
pub(crate) mod python_video;
pub(crate) mod reader;
pub(crate) mod shot;
pub(crate) mod times;

use crate::keep::Media;
use crate::source::row::Row;
use serde_json::{Map, Value};
use spool_db::assets::NewAsset;
use spool_db::campaigns::NewCampaign;
use spool_db::clients::NewClient;
use spool_db::import::accounts::Times;
use spool_db::import::briefs::Brief;
use spool_db::import::jobs::OldJob;
use spool_db::import::purchases::OldPurchase;
use spool_db::media::MediaRow;
use uuid::Uuid;

/// Our row for it.
#[derive(Debug)]
pub(crate) enum Target {
    Client(Uuid, NewClient, Times),
    Campaign(Uuid, NewCampaign, Times),
    Asset(Uuid, NewAsset, Times),
    Brief(Uuid, Brief, Times),
    /// Under the number it had, where it had one.
    Job {
        number: Option<i64>,
        job: Box<OldJob>,
        purchases: Vec<(Uuid, OldPurchase)>,
    },
    /// None: the register keeps it, and says why.
    Beside(String),
    /// None yet: its bytes are elsewhere.
    Waiting(String),
}

/// A row, what becomes of it, and what our row has no place for.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) target: Target,
    pub(crate) document: Map<String, Value>,
    /// Pixels and length of media, where the row tells them.
    pub(crate) media_rows: Vec<MediaRow>,
    /// What a row that belongs to this one (a shot, its clip) became; by the place of its row among the children.
    pub(crate) children: Vec<Child>,
}

impl Mapped {
    pub(crate) fn only(target: Target, document: Map<String, Value>) -> Self {
        Self { target, document, media_rows: Vec::new(), children: Vec::new() }
    }
}

/// A row that went into another one's.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) target: &'static str,
    pub(crate) id: String,
    pub(crate) document: Map<String, Value>,
}

/// A row with all that belongs to it.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) row: Row,
    pub(crate) media: Media,
    pub(crate) children: Vec<(Row, Media)>,
}
