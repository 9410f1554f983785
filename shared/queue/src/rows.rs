//! Writes the rows of many tasks, in statements of bounded size.

use std::ops::Range;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    batch::Graph,
    error::EnqueueError,
    id::TaskId,
    insert::{sql, start},
    task::NewTask,
};

/// Rows of one statement. More gains nothing and makes the messages and the memory of the server large.
const MOST_ROWS: usize = 5000;
/// Bytes of payload in one statement; the largest payload fits.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What the rows are made of; all by the index of the task.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'t> {
    pub(crate) tasks: &'t [NewTask],
    pub(crate) payloads: &'t [String],
    pub(crate) graph: &'t Graph,
    pub(crate) ids: &'t [TaskId],
}

impl Rows<'_> {
    /// Inserts the tasks of these indices, none of which has a key in its row.
    pub(crate) async fn insert(&self, conn: &mut PgConnection, order: &[usize]) -> Result<(), EnqueueError> {
        for part in parts(order.iter().map(|&index| self.payloads[index].len())) {
            self.statement(conn, &order[part], false).await?;
        }
        Ok(())
    }

    /// Inserts those whose key is free, and returns their numbers.
    pub(crate) async fn insert_free(
        &self,
        conn: &mut PgConnection,
        order: &[usize],
    ) -> Result<Vec<i64>, EnqueueError> {
        let mut made = Vec::with_capacity(order.len());
        for part in parts(order.iter().map(|&index| self.payloads[index].len())) {
            made.extend(self.statement(conn, &order[part], true).await?);
        }
        Ok(made)
    }

    async fn statement(
        &self,
        conn: &mut PgConnection,
        order: &[usize],
        keyed: bool,
    ) -> Result<Vec<i64>, EnqueueError> {
        let Self { tasks, payloads, graph, ids } = *self;
        let pick = || order.iter().map(|&index| &tasks[index]);
        let numbers: Vec<i64> = order.iter().map(|&index| ids[index].0).collect();
        let queues: Vec<&str> = pick().map(|task| task.queue.as_str()).collect();
        let kinds: Vec<&str> = pick().map(|task| task.kind.as_str()).collect();
        let payloads: Vec<&str> = order.iter().map(|&index| payloads[index].as_str()).collect();
        let versions: Vec<i16> = pick().map(|task| task.version).collect();
        let priorities: Vec<i16> = pick().map(|task| task.priority).collect();
        let run_at: Vec<Option<DateTime<Utc>>> = pick().map(|task| start(task.start).1).collect();
        let delays: Vec<i64> = pick().map(|task| start(task.start).0).collect();
        let groups: Vec<Option<&str>> = pick().map(|task| task.group_key.as_deref()).collect();
        let shares: Vec<Option<&str>> = pick().map(|task| task.share_key.as_deref()).collect();
        let attempts: Vec<Option<i16>> = pick().map(|task| task.max_attempts).collect();
        let timeouts: Vec<Option<i32>> = pick().map(NewTask::timeout_ms).collect();
        let waits: Vec<i32> = order.iter().map(|&index| graph.waits[index]).collect();
        let parents: Vec<bool> = order.iter().map(|&index| graph.is_parent[index]).collect();
        if !keyed {
            sqlx::query!(
                "insert into queue.task (id, queue, kind, payload, version, priority, run_at, state, group_key, share_key, max_attempts, timeout_ms, waits, has_children)
                 select u.id, u.queue, u.kind, u.payload::json, u.version, u.priority, r.run_at,
                        case when u.waits > 0 then 3 when r.run_at > now() then 1 else 0 end,
                        u.group_key, u.share_key, u.max_attempts, u.timeout_ms, u.waits, u.parent
                 from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::timestamptz[], $8::bigint[],
                             $9::text[], $10::text[], $11::smallint[], $12::integer[], $13::integer[], $14::boolean[])
                      as u(id, queue, kind, payload, version, priority, run_at, delay_ms, group_key, share_key, max_attempts, timeout_ms, waits, parent),
                      lateral (select coalesce(u.run_at, now() + u.delay_ms * interval '1 millisecond') as run_at) r",
                &numbers, &queues as &[&str], &kinds as &[&str], &payloads as &[&str], &versions, &priorities,
                &run_at as &[Option<DateTime<Utc>>], &delays, &groups as &[Option<&str>], &shares as &[Option<&str>],
                &attempts as &[Option<i16>], &timeouts as &[Option<i32>], &waits, &parents
            )
            .execute(conn)
            .await
            .map_err(sql("inserting the tasks"))?;
            return Ok(numbers);
        }
        let keys: Vec<Option<&str>> = pick().map(|task| task.row_key()).collect();
        sqlx::query_scalar!(
            "insert into queue.task (id, queue, kind, payload, version, priority, run_at, state, group_key, share_key, max_attempts, timeout_ms, waits, has_children, unique_key)
             select u.id, u.queue, u.kind, u.payload::json, u.version, u.priority, r.run_at,
                    case when u.waits > 0 then 3 when r.run_at > now() then 1 else 0 end,
                    u.group_key, u.share_key, u.max_attempts, u.timeout_ms, u.waits, u.parent, u.unique_key
             from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::timestamptz[], $8::bigint[],
                         $9::text[], $10::text[], $11::smallint[], $12::integer[], $13::integer[], $14::boolean[], $15::text[])
                  as u(id, queue, kind, payload, version, priority, run_at, delay_ms, group_key, share_key, max_attempts, timeout_ms, waits, parent, unique_key),
                  lateral (select coalesce(u.run_at, now() + u.delay_ms * interval '1 millisecond') as run_at) r
             on conflict (kind, unique_key) where unique_key is not null do nothing
             returning id",
            &numbers, &queues as &[&str], &kinds as &[&str], &payloads as &[&str], &versions, &priorities,
            &run_at as &[Option<DateTime<Utc>>], &delays, &groups as &[Option<&str>], &shares as &[Option<&str>],
            &attempts as &[Option<i16>], &timeouts as &[Option<i32>], &waits, &parents, &keys as &[Option<&str>]
        )
        .fetch_all(conn)
        .await
        .map_err(sql("inserting the tasks"))
    }
}

/// Consecutive parts of a list of sizes, each within the limits.
fn parts(sizes: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut from, mut to, mut bytes) = (0, 0, 0);
    for size in sizes {
        if to > from && (to - from == MOST_ROWS || bytes + size > MOST_BYTES) {
            parts.push(from..to);
            (from, bytes) = (to, 0);
        }
        to += 1;
        bytes += size;
    }
    if to > from {
        parts.push(from..to);
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::task::PAYLOAD_LIMIT;

    #[test]
    fn a_thousand_small_ones_are_one_statement() {
        assert_eq!(parts(std::iter::repeat_n(300, 1000)), vec![0..1000]);
        assert_eq!(parts(std::iter::empty()).len(), 0);
    }

    proptest! {
        #[test]
        fn every_task_is_in_one_part_and_no_part_is_too_large(sizes in proptest::collection::vec(0..=PAYLOAD_LIMIT, 0..300)) {
            let parts = parts(sizes.iter().copied());
            let covered: Vec<usize> = parts.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..sizes.len()).collect::<Vec<_>>());
            for part in parts {
                prop_assert!(!part.is_empty() && part.len() <= MOST_ROWS);
                prop_assert!(sizes[part].iter().sum::<usize>() <= MOST_BYTES);
            }
        }
    }
}
