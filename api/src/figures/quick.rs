//! What alerts look at: the queue, purchases, money, and what holds Postgres up.

use spool_db::figures::{self, Money, OpenBreaker, Postgres, Purchases, Work};
use spool_db::hooks::standing::{self, Standing};
use spool_db::invariants::Found;
use spool_db::limits::WHOLE_ACCOUNT;
use spool_explain::invariants::{self, ALL};
use spool_queue::{TaskState, inspect};
use spool_telemetry::names;
use spool_telemetry::samples::Samples;
use sqlx::PgConnection;

use super::Trouble;

/// Who opened a breaker that is closed.
const NOBODY: &str = "nobody";
/// Shown while nothing is in custody: the whole hour that providers keep outputs.
const NOTHING_WAITS: f64 = 3600.0;

/// Works them out.
pub(super) async fn samples(conn: &mut PgConnection) -> Result<Samples, Trouble> {
    let mut all = Samples::default();
    queue(&mut all, &inspect::figures(conn).await?);
    work(&mut all, &figures::work(conn).await?);
    purchases(&mut all, &figures::purchases(conn).await?);
    money(&mut all, &figures::money(conn).await?);
    webhooks(&mut all, &standing::standing(conn).await?);
    let (found, age_s) = invariants::last(conn).await?;
    books(&mut all, &found, age_s);
    postgres(&mut all, &figures::postgres(conn).await?);
    Ok(all)
}

fn queue(all: &mut Samples, figures: &inspect::Figures) {
    for count in &figures.tasks {
        let (queue, kind) = (count.queue.as_str(), count.kind.as_str());
        all.count(names::QUEUE_TASKS, &[queue, kind, count.state.as_str()], count.tasks);
        // Each kind has an age, also while none of it is ready: 0 says that nothing waits.
        let ready = |other: &&inspect::TaskCount| {
            other.queue == count.queue && other.kind == count.kind && other.state == TaskState::Ready
        };
        let is_first =
            figures.tasks.iter().find(|other| other.queue == count.queue && other.kind == count.kind)
                == Some(count);
        if is_first {
            let oldest = figures.tasks.iter().find(ready).map_or(0.0, |ready| ready.oldest_ready);
            all.add(names::QUEUE_OLDEST_READY, &[queue, kind], oldest);
        }
    }
    for served in &figures.queues {
        let queue = served.queue.as_str();
        all.count(names::QUEUE_WORKERS, &[queue], served.workers);
        all.count(names::QUEUE_SLOTS, &[queue], served.slots);
        all.flag(names::QUEUE_PAUSED, &[queue], served.paused);
    }
}

/// Words that are always shown, with 0 where nothing was counted.
fn counted(all: &mut Samples, name: &'static str, words: &[&str], counts: &[(String, i64)]) {
    for word in words {
        let count = counts.iter().find(|(known, _)| known == word).map_or(0, |(_, count)| *count);
        all.count(name, &[word], count);
    }
}

fn work(all: &mut Samples, work: &Work) {
    counted(all, names::JOBS_LIVE, &["planning", "approved", "processing"], &work.jobs);
    counted(all, names::JOBS_PARKED, &["budget", "provider", "paused"], &work.parked);
    counted(all, names::PREDICTIONS_OPEN, &["intent", "submitted", "unknown", "in_doubt"], &work.open);
    for (provider, model, flying, waiting) in &work.models {
        all.count(names::PREDICTIONS_IN_FLIGHT, &[provider, model], *flying);
        all.count(names::LIMIT_LINE, &[provider, model], *waiting);
    }
    for provider in &work.providers {
        let is_it = |open: &OpenBreaker| open.provider == *provider && open.model == WHOLE_ACCOUNT;
        if !work.breakers.iter().any(is_it) {
            all.flag(names::BREAKER_OPEN, &[provider, WHOLE_ACCOUNT, NOBODY], false);
        }
    }
    for open in &work.breakers {
        all.flag(names::BREAKER_OPEN, &[&open.provider, &open.model, &open.by], true);
    }
}

fn purchases(all: &mut Samples, purchases: &Purchases) {
    let (custody, orphans) = (&purchases.custody, &purchases.orphans);
    all.add(names::CUSTODY_TIGHTEST, &[], custody.tightest_s.unwrap_or(NOTHING_WAITS));
    all.count(names::CUSTODY_WAITING, &[], custody.waiting);
    all.count(names::PAID_BUT_LOST, &[], custody.lost);
    all.count(names::PAID_BUT_LOST_MICROS, &[], custody.lost_cost.0);
    all.count(names::ORPHANS, &["adopted"], orphans.adopted);
    all.count(names::ORPHANS, &["canceled"], orphans.canceled);
    all.count(names::ORPHANS_MICROS, &[], orphans.cost.0);
}

/// Labels are words for scope and period, never whose budget it is.
fn money(all: &mut Samples, money: &Money) {
    for one in &money.tightest {
        let (scope, period) = (one.scope.as_str(), one.period.as_str());
        for (limit, left) in [("soft", one.soft_left), ("hard", one.hard_left)] {
            // No series where there is no such budget (any more): no alert compares with it.
            if let Some(left) = left {
                all.count(names::BUDGET_HEADROOM, &[scope, period, limit], left);
            }
        }
        all.count(names::BUDGET_SOFT_PASSED, &[scope, period], one.soft_passed);
    }
    for one in &money.everything {
        let period = one.period.as_str();
        all.count(names::BUDGET_USED, &[period, "reserved"], one.reserved);
        all.count(names::BUDGET_USED, &[period, "settled"], one.settled);
        for (limit, micros) in [("soft", one.soft), ("hard", one.hard)] {
            if let Some(micros) = micros {
                all.count(names::BUDGET_LIMIT, &[period, limit], micros);
            }
        }
        if let Some(left) = one.left_s {
            all.add(names::BUDGET_PERIOD_LEFT, &[period], left);
        }
    }
    all.flag(names::SPEND_STOPPED, &[], money.stopped);
    all.count(names::SPEND_WAITS, &[], money.waits);
}

fn webhooks(all: &mut Samples, now: &Standing) {
    all.count(names::WEBHOOK_PENDING, &[], now.pending);
    all.add(names::WEBHOOK_OLDEST, &[], now.oldest_s.unwrap_or_default());
    let working = now.enabled - now.failing;
    for (state, count) in [("working", working), ("failing", now.failing), ("disabled", now.disabled)] {
        all.count(names::WEBHOOK_ENDPOINTS, &[state], count);
    }
}

/// What must always hold, as the last look found it.
fn books(all: &mut Samples, found: &Found, age_s: f64) {
    for one in ALL {
        all.count(names::INVARIANT_VIOLATIONS, &[one.name], found.get(one.name).map_or(0, Vec::len) as i64);
    }
    if age_s.is_finite() {
        all.add(names::INVARIANTS_AGE, &[], age_s);
    }
}

fn postgres(all: &mut Samples, postgres: &Postgres) {
    if let Some(pinned) = &postgres.pinned {
        let labels = [pinned.holder.as_str(), pinned.application.as_str()];
        if let Some(seconds) = pinned.for_s {
            all.add(names::POSTGRES_PINNED_XMIN, &labels, seconds);
        }
        all.count(names::POSTGRES_PINNED_XMIN_TRANSACTIONS, &labels, pinned.transactions);
    } else {
        all.add(names::POSTGRES_PINNED_XMIN, &["nobody", ""], 0.0);
        all.count(names::POSTGRES_PINNED_XMIN_TRANSACTIONS, &["nobody", ""], 0);
    }
    all.add(names::POSTGRES_OLDEST_TRANSACTION, &[], postgres.oldest_s);
    all.add(names::POSTGRES_NOTIFY_QUEUE, &[], postgres.notify_queue);
    all.count(names::POSTGRES_REPLICAS, &[], postgres.replicas);
    all.add(names::POSTGRES_REPLICATION_LAG, &[], postgres.lag_s);
    all.count(names::POSTGRES_CONNECTIONS, &[], postgres.connections);
    all.count(names::POSTGRES_CONNECTIONS_MAX, &[], postgres.most_connections);
}
