//! Whether everything that can be asked for has a price. Without one nothing can be bought, and jobs are refused.

use chrono::NaiveDate;
use spool_db::{checkup, limits};
use spool_job::catalog::{self, Model};
use sqlx::PgConnection;

use super::finding::or_ok;
use super::{Finding, Findings};

/// Days ahead that are looked at, too.
const SOON: u64 = 30;
const ADD: &str = "add it to `shared/job/src/catalog.toml`, build, and start API and workers anew";

pub(super) async fn look(conn: &mut PgConnection) -> Findings {
    let today = limits::now(conn).await?.date_naive();
    let mut found: Vec<Finding> = catalog::all().filter_map(|model| judge(model, today)).collect();
    for (slug, wanted) in checkup::models_in_use(conn).await? {
        if catalog::all().all(|model| model.slug != slug) {
            found.push(Finding::error(
                format!(
                    "{wanted} jobs or purchases under way are of {slug}, which this program does not know"
                ),
                "run API and workers of the build that took them; compare `spool-worker --version`",
            ));
        }
    }
    Ok(or_ok(found, || format!("all {} models have prices", catalog::all().count())))
}

fn judge(model: &Model, today: NaiveDate) -> Option<Finding> {
    let soon = today + chrono::Days::new(SOON);
    let (now, later) = (model.unpriced(today), model.unpriced(soon));
    let gap =
        |gaps: &[String], when: &str| format!("{} has no price {when} for {}", model.slug, gaps.join(", "));
    if !now.is_empty() {
        return Some(Finding::error(gap(&now, "today"), ADD));
    }
    (!later.is_empty()).then(|| Finding::warning(gap(&later, &format!("on {soon}")), ADD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_its_first_price_a_model_cannot_be_sold() {
        let model = catalog::all().next().unwrap();
        let first = model.prices.iter().map(|price| price.from).min().unwrap();
        let before = judge(model, first.pred_opt().unwrap()).unwrap();
        assert!(before.what.contains("has no price today for 720p"), "{before:?}");
        assert_eq!(judge(model, first), None);
    }
}
