//! How far runs are, by their own account: gathered in the process, written together.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sqlx::PgConnection;
use tokio::sync::Notify;

use crate::id::{LeaseToken, TaskId};

/// The last word of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) task: TaskId,
    pub(crate) token: LeaseToken,
    pub(crate) percent: u8,
    pub(crate) note: String,
}

/// What is to be written about the runs of one process.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// By token.
    pub(crate) reports: HashMap<i64, Report>,
    /// Runs that have ended: what they reported may have to go.
    pub(crate) ended: Vec<(TaskId, LeaseToken)>,
}

/// Where runs leave their reports.
#[derive(Debug, Default)]
pub(crate) struct Board {
    news: Mutex<News>,
    pub(crate) changed: Notify,
}

impl Board {
    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn report(&self, report: Report) {
        self.news().reports.insert(report.token.0, report);
        self.changed.notify_one();
    }

    pub(crate) fn ended(&self, runs: Vec<(TaskId, LeaseToken)>) {
        if runs.is_empty() {
            return;
        }
        let mut news = self.news();
        for (_, token) in &runs {
            news.reports.remove(&token.0);
        }
        news.ended.extend(runs);
        drop(news);
        self.changed.notify_one();
    }

    pub(crate) fn take(&self) -> News {
        std::mem::take(&mut *self.news())
    }

    /// What could not be written; newer words win.
    pub(crate) fn put_back(&self, old: News) {
        if old.reports.is_empty() && old.ended.is_empty() {
            return;
        }
        let mut news = self.news();
        news.ended.extend(old.ended);
        for (token, report) in old.reports {
            news.reports.entry(token).or_insert(report);
        }
        drop(news);
        self.changed.notify_one();
    }
}

/// Writes reports and returns the tokens of those that are written. Missing are stale ones, and those whose task is locked at the moment.
///
/// The task is locked so that nobody takes it over before the report stands; nobody is ever waited for.
pub(crate) async fn write(conn: &mut PgConnection, reports: &[Report]) -> Result<Vec<i64>, sqlx::Error> {
    let tasks: Vec<i64> = reports.iter().map(|report| report.task.0).collect();
    let tokens: Vec<i64> = reports.iter().map(|report| report.token.0).collect();
    let percents: Vec<i16> = reports.iter().map(|report| i16::from(report.percent)).collect();
    let notes: Vec<&str> = reports.iter().map(|report| report.note.as_str()).collect();
    sqlx::query_scalar!(
        "with held as materialized (
             select t.id, g.token, g.percent, g.note
             from unnest((select $1::bigint[]), (select $2::bigint[]), (select $3::smallint[]), (select $4::text[])) as g(id, token, percent, note) join queue.task t on t.id = g.id
             where t.lease_token = g.token and t.state = 4
             order by t.id for share of t skip locked)
         insert into queue.progress as p (task_id, lease_token, percent, note)
         select id, token, percent, note from held
         on conflict (task_id) do update
         set lease_token = excluded.lease_token, updated_at = now(), note = excluded.note,
             percent = case when p.lease_token = excluded.lease_token then greatest(p.percent, excluded.percent) else excluded.percent end
         where p.lease_token <= excluded.lease_token
         returning lease_token",
        &tasks,
        &tokens,
        &percents,
        &notes as &[&str]
    )
    .fetch_all(conn)
    .await
}

/// Removes what ended runs reported, unless their task goes on.
pub(crate) async fn remove(
    conn: &mut PgConnection,
    runs: &[(TaskId, LeaseToken)],
) -> Result<(), sqlx::Error> {
    let (tasks, tokens): (Vec<i64>, Vec<i64>) = runs.iter().map(|(task, token)| (task.0, token.0)).unzip();
    sqlx::query!(
        "delete from queue.progress p using unnest((select $1::bigint[]), (select $2::bigint[])) as u(id, token)
         where p.task_id = u.id and p.lease_token = u.token and not exists (select from queue.task t where t.id = u.id)",
        &tasks,
        &tokens
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes what nobody was left to remove: the worker died, the task was canceled, the shutdown was quicker.
pub(crate) async fn sweep(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from queue.progress p where not exists (select from queue.task t where t.id = p.task_id)"
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(token: i64, percent: u8) -> Report {
        Report { task: TaskId(1), token: LeaseToken(token), percent, note: String::new() }
    }

    #[test]
    fn only_the_last_word_of_a_run_is_written() {
        let board = Board::default();
        board.report(report(7, 10));
        board.report(report(8, 10));
        board.report(report(7, 20));
        let news = board.take();
        assert_eq!((news.reports.len(), &news.reports[&7]), (2, &report(7, 20)));
        assert!(board.take().reports.is_empty());
    }

    #[test]
    fn what_comes_back_does_not_replace_a_newer_word() {
        let board = Board::default();
        board.report(report(7, 10));
        let old = board.take();
        board.report(report(7, 20));
        board.put_back(old);
        assert_eq!(board.take().reports[&7], report(7, 20));
    }

    #[test]
    fn an_ended_run_has_nothing_more_to_say() {
        let board = Board::default();
        board.report(report(7, 10));
        board.ended(vec![(TaskId(1), LeaseToken(7))]);
        let news = board.take();
        assert!(news.reports.is_empty());
        assert_eq!(news.ended, [(TaskId(1), LeaseToken(7))]);
    }
}
