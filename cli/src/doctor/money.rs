//! Money: what may be spent, what is held back, what nobody can tell, and what was paid for in vain.

use spool_db::budgets::{self, Standing};
use spool_db::limits::breaker::{self, By};
use spool_db::predictions::doubt;
use spool_db::{checkup, custody};
use spool_job::prediction::PredictionState;
use sqlx::PgConnection;

use super::finding::or_ok;
use super::{Finding, Findings};

/// Seconds that are left to fetch an output before it is deleted.
const TIGHT: f64 = 900.0;

pub(super) async fn spending(conn: &mut PgConnection) -> Findings {
    let mut found = Vec::new();
    if let Some(stop) = budgets::stopped(conn).await? {
        found.push(Finding::warning(
            format!("all new spending is stopped since {} by {}: {}", stop.at, stop.by, stop.why),
            "`spool budget resume`, once the reason is gone",
        ));
    }
    let all = budgets::list(conn).await?;
    found.extend(all.iter().filter_map(judge));
    Ok(or_ok(found, || format!("nothing is stopped, and none of {} budgets is used up", all.len())))
}

fn judge(standing: &Standing) -> Option<Finding> {
    let Standing { budget, reserved, settled, .. } = standing;
    let key = budget.scope.key();
    let whose =
        if key.is_empty() { "everything".to_owned() } else { format!("{} {key}", budget.scope.word()) };
    let adjective = budget.period.adjective();
    let spent = format!("{settled} spent, {reserved} held");
    if let (Some(hard), Some(0)) = (budget.hard, standing.left().map(|left| left.0)) {
        let scope = if key.is_empty() { "all".to_owned() } else { format!("{}:{key}", budget.scope.word()) };
        return Some(Finding::warning(
            format!(
                "the {adjective} budget of {whose} is used up: {spent} of {hard}; what is to be bought waits"
            ),
            format!(
                "wait for the next period, or `spool budget set {scope} --period {} --hard DOLLARS`",
                budget.period.as_str()
            ),
        ));
    }
    let soft = budget.soft.filter(|_| standing.soft_passed_at.is_some())?;
    Some(Finding::note(format!(
        "the {adjective} budget of {whose} has passed its soft limit of {soft}: {spent}"
    )))
}

pub(super) async fn breakers(conn: &mut PgConnection) -> Findings {
    let open = breaker::open(conn, None).await?;
    let found = open.iter().map(|one| {
        let what = format!(
            "{} is left alone since {} by {}: {}",
            breaker::name(&one.provider, &one.model),
            one.since,
            one.by.word(),
            one.why
        );
        let close = format!("`spool breaker close '{}' --provider {}`", one.model, one.provider);
        match one.by {
            By::Operator => Finding::note(what),
            By::Account => Finding::error(
                what,
                format!("see to credit and token of the account; it closes by itself, or {close}"),
            ),
            By::Call | By::Run => Finding::warning(
                what,
                format!("look at the provider's status page; it closes by itself, or {close}"),
            ),
        }
    });
    Ok(or_ok(found.collect(), || "all breakers are closed".to_owned()))
}

pub(super) async fn doubt(conn: &mut PgConnection) -> Findings {
    let (rows, total) = doubt::list(conn, Some(PredictionState::InDoubt), (3, 0)).await?;
    let found = (total > 0).then(|| {
        let ids: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
        Finding::warning(
            format!("{total} purchases are in doubt, and their jobs wait for a person: {}", ids.join(", ")),
            "`spool predictions list`, look at the provider, then `spool predictions resolve ID --void` or `--submitted EXTERNAL_ID`",
        )
    });
    Ok(or_ok(found.into_iter().collect(), || "of every purchase it is known what became of it".to_owned()))
}

pub(super) async fn custody(conn: &mut PgConnection) -> Findings {
    let (standing, lost) = (custody::standing(conn).await?, checkup::lost(conn).await?);
    let mut found = Vec::new();
    if lost.lately > 0 {
        found.push(Finding::warning(
            format!(
                "{} outputs were paid for ({}) in the last seven days and deleted before they were stored",
                lost.lately, lost.lately_cost
            ),
            "`curl $api/admin/custody` lists them; retry their jobs (`curl -X POST $api/jobs/JOB/retry`), and run more workers",
        ));
    } else if lost.ever > 0 {
        found.push(Finding::note(format!(
            "{} outputs were once paid for and lost, none of them lately",
            lost.ever
        )));
    }
    if let Some(left) = standing.tightest_s.filter(|left| *left < TIGHT) {
        found.push(Finding::bad_if(
            left < TIGHT / 3.0,
            format!(
                "{} outputs wait to be fetched; the first is deleted in {:.0} min",
                standing.waiting,
                left / 60.0
            ),
            "start more workers, or give them more slots: `SPOOL_SLOTS_COLLECT=32 spool-worker`",
        ));
    }
    Ok(or_ok(found, || format!("{} outputs wait to be fetched, in good time", standing.waiting)))
}
