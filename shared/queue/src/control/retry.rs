//! Brings dead tasks back: one, many by a filter, with or without what was canceled because of them.
//!
//! A task is in one place at a time. When it comes back its row in the history is removed, the run that ended it is kept among its
//! runs, and its next end makes a new row. All that comes back waits again for those of its parents that are in the queue.

use sqlx::{PgConnection, QueryBuilder};

use super::sql;
use crate::{
    bell::Bell,
    error::ControlError,
    id::TaskId,
    inspect::{self, Dead, DeadCount},
};

/// How much comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The tasks themselves.
    Alone,
    /// Also what was canceled because of them, and because of that, and so on: a step of a DAG and all that could not follow it.
    /// What has succeeded stays as it is. What another dead task keeps from running stays dead.
    Downstream,
}

/// What a retry did.
#[derive(Debug)]
pub struct Retried {
    /// The tasks that came back.
    pub tasks: Vec<TaskId>,
    /// Those that stay dead because another task has their unique key; of two with one key the newer comes back.
    pub key_taken: Vec<TaskId>,
    /// To be rung after the commit.
    pub bell: Bell,
}

/// What [`retry_where`] would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun {
    /// The tasks that the filter finds. Those that a dead task keeps from running would stay dead.
    pub matching: Vec<DeadCount>,
    /// Tasks beyond these that were canceled because of them; 0 for [`Reach::Alone`].
    pub downstream: u64,
    /// How many of all these would stay dead because another task has their unique key.
    pub key_taken: u64,
}

impl DryRun {
    /// How many tasks the filter finds.
    pub fn total(&self) -> u64 {
        self.matching.iter().map(|count| count.tasks).sum()
    }
}

/// Gives a failed or canceled task all its attempts again, under its own number. It waits again for those of its parents that are
/// in the queue; dead ones are passed over, because somebody wants it to run. A deadline that has passed is dropped. A unique key is
/// held again as before, whatever it was held by; that of a calendar period that is over is not.
///
/// # Errors
/// [`ControlError::NotDead`] when it has not failed and was not canceled, or somebody else was faster;
/// [`ControlError::KeyTaken`] when another task has its unique key.
///
/// ```no_run
/// # async fn example(pool: sqlx::PgPool, step: spool_queue::TaskId) -> Result<(), Box<dyn std::error::Error>> {
/// use spool_queue::control::{self, Reach};
/// let mut tx = pool.begin().await?;
/// let retried = control::retry(&mut tx, step, Reach::Downstream).await?;
/// tx.commit().await?;
/// retried.bell.ring(&pool).await;
/// # Ok(())
/// # }
/// ```
pub async fn retry(conn: &mut PgConnection, task: TaskId, reach: Reach) -> Result<Retried, ControlError> {
    let retried = match revive(conn, &[task.0], reach, true).await {
        Err(ControlError::Sql { source: sqlx::Error::Database(error), .. })
            if error.is_unique_violation() =>
        {
            return Err(ControlError::KeyTaken(task));
        }
        other => other?,
    };
    if retried.tasks.contains(&task) {
        return Ok(retried);
    }
    let taken = retried.key_taken.contains(&task);
    Err(if taken { ControlError::KeyTaken(task) } else { ControlError::NotDead(task) })
}

/// Retries all dead tasks that the filter finds, in one statement of the caller's transaction. Those whose unique key is taken, and
/// those that need a task that stays dead, are passed over; [`Retried::key_taken`] names the former.
///
/// # Errors
/// When the database refuses; with a unique violation also when somebody takes such a key between the look and the writing. Then
/// nothing has come back, and the call may be repeated.
pub async fn retry_where(
    conn: &mut PgConnection,
    filter: &Dead,
    reach: Reach,
) -> Result<Retried, ControlError> {
    let ids = found(conn, filter).await?;
    revive(conn, &ids, reach, false).await
}

/// Says what [`retry_where`] would do, and does nothing.
///
/// ```no_run
/// # async fn example(conn: &mut sqlx::PgConnection) -> Result<(), spool_queue::ControlError> {
/// use spool_queue::{control::{self, Reach}, inspect::Dead};
/// let filter = Dead::failed().queue("purchases").error_class("timeout");
/// for found in control::retry_dry_run(conn, &filter, Reach::Downstream).await?.matching {
///     println!("{} {} tasks died of {:?}", found.tasks, found.kind, found.error_class);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the database refuses.
pub async fn retry_dry_run(
    conn: &mut PgConnection,
    filter: &Dead,
    reach: Reach,
) -> Result<DryRun, ControlError> {
    let matching = inspect::count_dead(conn, filter).await?;
    let ids = found(conn, filter).await?;
    let below = match reach {
        Reach::Alone => Vec::new(),
        Reach::Downstream => {
            sqlx::query_scalar!(r#"select id as "id!" from queue.dead_below($1) as id"#, &ids)
                .fetch_all(&mut *conn)
                .await
                .map_err(sql("listing what was canceled with the dead tasks"))?
        }
    };
    let downstream = below.len() as u64;
    let key_taken =
        sqlx::query_scalar!(r#"select count(*) as "n!" from queue.key_taken($1)"#, &[ids, below].concat())
            .fetch_one(conn)
            .await
            .map_err(sql("counting dead tasks whose keys are taken"))?;
    Ok(DryRun { matching, downstream, key_taken: key_taken.unsigned_abs() })
}

async fn found(conn: &mut PgConnection, filter: &Dead) -> Result<Vec<i64>, ControlError> {
    let mut query = QueryBuilder::new("select h.id from queue.task_history h");
    filter.push_where(&mut query);
    query.build_query_scalar().fetch_all(conn).await.map_err(sql("listing dead tasks"))
}

async fn revive(
    conn: &mut PgConnection,
    ids: &[i64],
    reach: Reach,
    force: bool,
) -> Result<Retried, ControlError> {
    let row = sqlx::query!(
        r#"select revived as "revived!", ring as "ring!", taken as "taken!" from queue.revive($1, $2, $3)"#,
        ids,
        reach == Reach::Downstream,
        force
    )
    .fetch_one(conn)
    .await
    .map_err(sql("retrying dead tasks"))?;
    let tasks = |ids: Vec<i64>| ids.into_iter().map(TaskId).collect();
    let bell = Bell::of(row.ring).commanded("retry", row.revived.len());
    Ok(Retried { tasks: tasks(row.revived), key_taken: tasks(row.taken), bell })
}
