//! The shared limits as metrics. Every worker shows the same: they are facts of the database.

use metrics::gauge;
use spool_db::error::DbError;
use spool_db::limits::standing::{self, Class};
use spool_db::limits::{WHOLE_ACCOUNT, breaker};
use spool_telemetry::names;
use sqlx::PgPool;
use std::collections::BTreeSet;

/// What has been shown: a series that is over goes to zero.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    busy: BTreeSet<(String, String)>,
    open: BTreeSet<(String, String)>,
}

impl Gauges {
    pub(crate) async fn read(&mut self, pool: &PgPool) -> Result<(), DbError> {
        const DOING: &str = "read the limits";
        let lost = |source| DbError::Query { operation: DOING, source };
        let mut tx = pool.begin().await.map_err(lost)?;
        let standing = standing::list(&mut tx).await?;
        let open = breaker::open(&mut tx, None).await?;
        tx.commit().await.map_err(lost)?;

        let mut busy = std::mem::take(&mut self.busy);
        for one in standing {
            if one.class != Class::Create || one.model == WHOLE_ACCOUNT {
                continue;
            }
            show(&one.provider, &one.model, one.in_flight, one.waiting);
            let key = (one.provider, one.model);
            busy.remove(&key);
            self.busy.insert(key);
        }
        for (provider, model) in busy {
            show(&provider, &model, 0, 0);
        }
        let mut closed = std::mem::take(&mut self.open);
        for one in open {
            let key = (one.provider, one.model);
            gauge!(names::BREAKER_OPEN, "provider" => key.0.clone(), "model" => key.1.clone()).set(1.0);
            closed.remove(&key);
            self.open.insert(key);
        }
        for (provider, model) in closed {
            gauge!(names::BREAKER_OPEN, "provider" => provider, "model" => model).set(0.0);
        }
        Ok(())
    }
}

fn show(provider: &str, model: &str, in_flight: i64, waiting: i64) {
    let labels = [("provider", provider.to_owned()), ("model", model.to_owned())];
    gauge!(names::PREDICTIONS_IN_FLIGHT, &labels).set(in_flight as f64);
    gauge!(names::LIMIT_LINE, &labels).set(waiting as f64);
}
