//! What must always hold, as metrics.

use spool_api::invariant_watch;
use spool_explain::invariants::ALL;
use sqlx::PgPool;

use crate::app::{TestApp, start};
use crate::figures::{page, value, worked_out};
use crate::media::prediction;

/// A look if one is due, and what is then shown.
async fn look(app: &TestApp) -> String {
    invariant_watch::look(&app.pool).await.expect("looked");
    worked_out(&app.pool, "-1 hour").await;
    page(app).await
}

#[sqlx::test(migrations = false)]
async fn each_invariant_has_a_gauge_that_is_zero_until_it_is_broken(pool: PgPool) {
    let app = start(pool).await;
    prediction(&app).await;
    let shown = look(&app).await;
    for one in ALL {
        let series = format!("spool_invariant_violations{{invariant=\"{}\"}}", one.name);
        assert_eq!(value(&shown, &series), Some("0"), "{series}");
    }
    let declared =
        spool_telemetry::vocabulary::find("spool_invariant_violations").expect("declared").labels[0].values;
    assert_eq!(declared, ALL.map(|one| one.name), "the vocabulary knows each by its name");
    let age: f64 = value(&shown, "spool_invariants_age_seconds").expect("an age").parse().expect("a number");
    assert!(age < 60.0, "{age}");

    sqlx::raw_sql("DELETE FROM ledger").execute(&app.pool).await.expect("deleted");
    let series = "spool_invariant_violations{invariant=\"ledger_open\"}";
    assert_eq!(value(&look(&app).await, series), Some("0"), "the next look is not due");
    let older = "UPDATE invariants SET at = at - interval '2 minutes'";
    sqlx::raw_sql(older).execute(&app.pool).await.expect("older");
    assert_eq!(value(&look(&app).await, series), Some("1"));
}
