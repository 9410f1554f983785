//! Whose a row is: client and campaign that are here, or would be after a dry run.

use crate::error::ImportError;
use crate::map::ids;
use crate::source::row::Row;
use serde_json::Value;
use spool_db::import::accounts;
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// An owner that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Owner {
    pub(crate) client: Option<Uuid>,
    pub(crate) campaign: Option<Uuid>,
}

/// Clients and campaigns that a dry run has read: it writes none, so the database cannot be asked for them.
#[derive(Debug, Default)]
pub(crate) struct Imagined {
    pub(crate) clients: BTreeSet<Uuid>,
    pub(crate) campaigns: BTreeMap<Uuid, Uuid>,
}

/// Where a row names its owner: in columns of its own or in its parameters, in either casing.
fn named(row: &Row, names: [&str; 2]) -> Option<String> {
    names.iter().find_map(|name| row.key(name)).or_else(|| {
        let parameters = row.json("parameters").or_else(|| row.json("metadata"))?;
        names.iter().find_map(|name| match parameters.get(name)? {
            Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    })
}

/// The client and campaign of a row, as far as they exist; a campaign's client comes first.
pub(crate) async fn of(
    pool: &PgPool,
    source: &str,
    imagined: &Imagined,
    row: &Row,
) -> Result<Owner, ImportError> {
    let wanted = |names, table| named(row, names).map(|key| ids::uuid(source, table, &key));
    let campaign = wanted(["campaign_id", "campaignId"], "campaigns");
    let client = wanted(["client_id", "clientId"], "clients");
    if campaign.is_none() && client.is_none() {
        return Ok(Owner::default());
    }
    let mut connection =
        pool.acquire().await.map_err(|source| ImportError::Transaction { doing: "connect for", source })?;
    if let Some(campaign) = campaign {
        let owner = match imagined.campaigns.get(&campaign) {
            Some(client) => Some(*client),
            None => accounts::client_of_campaign(&mut connection, campaign).await?,
        };
        if let Some(client) = owner {
            return Ok(Owner { client: Some(client), campaign: Some(campaign) });
        }
    }
    let client = match client {
        Some(client)
            if imagined.clients.contains(&client)
                || accounts::has_client(&mut connection, client).await? =>
        {
            Some(client)
        }
        _ => None,
    };
    Ok(Owner { client, campaign: None })
}
