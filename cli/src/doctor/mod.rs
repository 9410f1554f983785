//! Looks at a running installation and says what is wrong with it and what to do. It reads only: each check is a transaction of its own
//! that cannot write and gives up what takes long, so it may be run on a busy database.

mod api;
mod bloat;
mod clock;
mod finding;
mod holders;
mod invariants;
mod media;
mod money;
mod partitions;
mod prices;
mod schema;
mod server;
mod settings;
mod work;

pub(crate) use finding::{Finding, Report, Severity};

use std::error::Error;

use spool_db::checkup;
use spool_media::inventory::Inventory;
use sqlx::{PgConnection, PgPool};
use url::Url;

/// Whatever keeps a check from looking.
pub(crate) type Trouble = Box<dyn Error + Send + Sync>;
/// What a check has found; at least one.
pub(crate) type Findings = Result<Vec<Finding>, Trouble>;

/// What to look at besides the database.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    /// Address of an API.
    pub(crate) api: Option<&'a Url>,
    /// The store of media.
    pub(crate) media: Option<&'a Inventory>,
    /// Leave out what takes long where there is a long past.
    pub(crate) quick: bool,
    /// Seconds that a transaction may take.
    pub(crate) long_transaction: u32,
}

/// Looks at everything.
pub(crate) async fn look(pool: &PgPool, scope: &Scope<'_>) -> Report {
    let mut report = Report::default();
    let schema = at(&mut report, pool, "schema", schema::look).await;
    // Without tables there is nothing to look at.
    if !schema {
        return report;
    }
    at(&mut report, pool, "postgres", server::look).await;
    at(&mut report, pool, "clock", clock::look).await;
    if let Some(url) = scope.api {
        report.add("api", api::look(url).await);
    }
    at(&mut report, pool, "connections", server::connections).await;
    let long = scope.long_transaction;
    at(&mut report, pool, "xmin", async |conn: &mut PgConnection| holders::look(conn, long).await).await;
    at(&mut report, pool, "vacuum", bloat::look).await;
    at(&mut report, pool, "partitions", partitions::look).await;
    at(&mut report, pool, "workers", work::workers).await;
    at(&mut report, pool, "kinds", work::kinds).await;
    at(&mut report, pool, "backlog", work::backlog).await;
    let quick = scope.quick;
    at(&mut report, pool, "invariants", async |conn: &mut PgConnection| invariants::look(conn, quick).await)
        .await;
    at(&mut report, pool, "spending", money::spending).await;
    at(&mut report, pool, "breakers", money::breakers).await;
    at(&mut report, pool, "doubt", money::doubt).await;
    at(&mut report, pool, "custody", money::custody).await;
    at(&mut report, pool, "prices", prices::look).await;
    at(&mut report, pool, "webhooks", settings::webhooks).await;
    at(&mut report, pool, "keys", settings::keys).await;
    report.add("settings", Ok(settings::look(|name| std::env::var(name).ok())));
    if let Some(inventory) = scope.media {
        report.add("media", media::look(pool, inventory).await);
    }
    report
}

/// One check in a transaction of its own. False: it says that there is no sense in going on.
async fn at<F>(report: &mut Report, pool: &PgPool, check: &'static str, look: F) -> bool
where
    F: AsyncFnOnce(&mut PgConnection) -> Findings,
{
    let looked = async {
        let mut tx = pool.begin().await?;
        checkup::begin(&mut tx).await?;
        let found = look(&mut tx).await?;
        tx.rollback().await?;
        Ok::<_, Trouble>(found)
    };
    let found = looked.await;
    let goes_on = found.as_ref().is_ok_and(|found| !found.iter().any(|finding| finding.is_the_end));
    report.add(check, found);
    goes_on
}
