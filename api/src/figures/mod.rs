//! Figures of the database for `/metrics`: queue, purchases, money, Postgres. Whichever API process is asked and finds them old works
//! them out anew, once for the whole fleet, and leaves them in a row for the others (docs/adr/0014).

mod quick;
mod thorough;

use std::error::Error;
use std::time::{Duration, Instant};

use spool_db::figures::{self, Kept, Part};
use spool_telemetry::names;
use spool_telemetry::samples::Samples;
use sqlx::{Connection, PgConnection, PgPool};

/// Whatever kept them from being read; it goes to the log.
type Trouble = Box<dyn Error + Send + Sync>;

/// Prometheus gives a scrape ten seconds by default. Without the database the process still shows what it knows of itself.
const PATIENCE: Duration = Duration::from_secs(3);
/// They are worked out this many times more seldom than it takes: at most a fiftieth of one connection's time.
const SPARING: f64 = 50.0;

/// Seconds for which figures are young enough.
fn window(part: Part) -> f64 {
    match part {
        Part::Quick => 5.0,
        Part::Thorough => 60.0,
    }
}

/// Appends them to a page of metrics, or leaves them out when the database does not answer in time.
pub async fn write_to(page: &mut String, pool: &PgPool) {
    match tokio::time::timeout(PATIENCE, read(pool)).await {
        Ok(Ok(samples)) => samples.write_to(page),
        Ok(Err(error)) => {
            tracing::warn!(error = &*error as &dyn Error, "the figures of the database cannot be read");
        }
        Err(_) => tracing::warn!("the database took too long to give its figures"),
    }
}

/// All of them, and how old they are.
async fn read(pool: &PgPool) -> Result<Samples, Trouble> {
    let mut all = Samples::default();
    let mut tx = pool.begin().await?;
    for part in Part::ALL {
        let Some(kept) = current(&mut tx, part).await? else { continue };
        if kept.age_s.is_finite() {
            all.append(serde_json::from_value(kept.body)?);
            all.add(names::FIGURES_AGE, &[part.as_str()], kept.age_s);
            all.add(names::FIGURES_COST, &[part.as_str()], kept.cost_s);
        }
    }
    tx.commit().await?;
    Ok(all)
}

/// Those that are there; worked out anew first, if they are old and nobody else is at it. When that fails, the old ones are shown with
/// their age.
async fn current(conn: &mut PgConnection, part: Part) -> Result<Option<Kept>, Trouble> {
    let kept = figures::kept(conn, part).await?;
    let young = |kept: &Kept| kept.age_s <= window(part).max(kept.cost_s * SPARING);
    if kept.as_ref().is_some_and(young) {
        return Ok(kept);
    }
    if let Err(error) = renew(conn, part).await {
        tracing::warn!(
            part = part.as_str(),
            error = &*error as &dyn Error,
            "the figures of the database are old"
        );
        return Ok(kept);
    }
    Ok(figures::kept(conn, part).await?)
}

/// Within a savepoint: when it fails, its lock goes and the other part is still read.
async fn renew(conn: &mut PgConnection, part: Part) -> Result<(), Trouble> {
    let mut tx = conn.begin().await?;
    if figures::claim(&mut tx, part, window(part)).await? {
        let begin = Instant::now();
        let samples = match part {
            Part::Quick => quick::samples(&mut tx).await?,
            Part::Thorough => thorough::samples(&mut tx).await?,
        };
        let body = serde_json::to_value(&samples)?;
        figures::keep(&mut tx, part, &body, begin.elapsed().as_secs_f64()).await?;
    }
    tx.commit().await?;
    Ok(())
}
