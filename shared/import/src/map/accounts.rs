//! Clients and campaigns, of both systems.

use super::reader::Reader;
use super::{Mapped, Target, Whole, ids};
use crate::owners::Owner;
use serde_json::{Value, json};
use spool_db::campaigns::NewCampaign;
use spool_db::clients::NewClient;

/// What a name is where there was none.
const NO_CLIENT_NAME: &str = "Unnamed Client";
const NO_CAMPAIGN_NAME: &str = "Unnamed Campaign";

pub(crate) fn client(source: &str, whole: &Whole) -> Mapped {
    let mut row = Reader::new(&whole.row, &whole.media);
    row.knows(&["id"]);
    let new = NewClient {
        name: row.name(&["name"]).unwrap_or_else(|| NO_CLIENT_NAME.to_owned()),
        description: row.text(&["description"]),
        homepage: row.text(&["homepage"]),
        metadata: row.object(&["metadata"]).unwrap_or_else(|| json!({})),
        brand_guidelines: row.text(&["brand_guidelines"]),
    };
    let id = ids::uuid(source, "clients", &whole.row.id);
    let times = row.times();
    Mapped::only(Target::Client(id, new, times), row.rest())
}

pub(crate) fn campaign(source: &str, whole: &Whole, owner: Owner) -> Mapped {
    let mut row = Reader::new(&whole.row, &whole.media);
    row.knows(&["id"]);
    let Some(client_id) = owner.client else {
        let why = "its client is not in the file and not here".to_owned();
        return Mapped::only(Target::Beside(why), row.rest());
    };
    row.knows(&["client_id"]);
    let new = NewCampaign {
        client_id,
        name: row.name(&["name"]).unwrap_or_else(|| NO_CAMPAIGN_NAME.to_owned()),
        // An object where it is one, else the text as it was written.
        brief: row.object(&["brief"]).or_else(|| row.text(&["brief"]).map(Value::String)),
        goal: row.text(&["goal"]),
        status: row.text(&["status"]),
        product_url: row.text(&["product_url"]),
        metadata: row.object(&["metadata"]).unwrap_or_else(|| json!({})),
    };
    let id = ids::uuid(source, "campaigns", &whole.row.id);
    let times = row.times();
    Mapped::only(Target::Campaign(id, new, times), row.rest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::Media;
    use crate::source::row::{Cell, Row};

    #[test]
    fn blank_names_get_one_and_odd_columns_stay() {
        let cells =
            [("id", "acme"), ("name", " "), ("metadata", "[1]"), ("created_at", "soon"), ("user_id", "u1")];
        let cells =
            cells.iter().map(|(name, text)| ((*name).to_owned(), Cell::Text((*text).into()))).collect();
        let row = Row { table: "clients".into(), id: "acme".into(), position: 1, cells };
        let mapped = client("scenes", &Whole { row, media: Media::new(), children: vec![] });
        let Target::Client(id, new, times) = mapped.target else { panic!("{mapped:?}") };
        assert_eq!((id, new.name.as_str()), (ids::uuid("scenes", "clients", "acme"), NO_CLIENT_NAME));
        assert_eq!((new.metadata, times.inserted), (json!({}), None));
        let left = json!({"name": " ", "metadata": "[1]", "created_at": "soon", "user_id": "u1"});
        assert_eq!(Value::Object(mapped.document), left);
    }
}
