//! What a task finds of the tasks that it waited for.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    error::CommitError,
    id::TaskId,
    run::{Around, Run},
    state::TaskState,
};

/// A task that this one waited for, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    /// Its number.
    pub id: TaskId,
    /// Its kind.
    pub kind: String,
    /// How it ended. One that was retried meanwhile may not be final.
    pub state: TaskState,
    /// What it left, if it succeeded and left something.
    pub output: Option<Value>,
}

impl Parent {
    /// What it left, as a type; none if it left nothing.
    ///
    /// # Errors
    /// When the output has another shape.
    pub fn output<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        self.output.as_ref().map(T::deserialize).transpose()
    }
}

impl Run {
    /// The tasks that this one waited for, stand-ins included, in the order in which they were named. Those that the history does
    /// not keep any more are missing.
    ///
    /// ```no_run
    /// # async fn example(run: spool_queue::Run) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut total = 0;
    /// for parent in run.parents().await? {
    ///     // None: it failed, or left no output.
    ///     total += parent.output::<u64>()?.unwrap_or(0);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn parents(&self) -> Result<Vec<Parent>, CommitError> {
        if let Around::Test(test) = self.around() {
            return Ok(test.parents.clone());
        }
        let sql = |source| self.sql("reading the parents", source);
        let mut conn = self.pool().acquire().await.map_err(sql)?;
        let rows = sqlx::query!(
            r#"select p.id as "id!", k.kind as "kind!", k.state as "state!", k.output
               from queue.task c, unnest(c.parents) with ordinality as p(id, ord), lateral (
                   select kind, state, null::json as output from queue.task where id = p.id
                   union all
                   (select kind, state, output from queue.task_history where id = p.id order by finished_at desc limit 1)
                   limit 1) k
               where c.id = $1 order by p.ord"#,
            self.task_id().0
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(sql)?;
        let parent = |id, kind, code, output| {
            Some(Parent { id: TaskId(id), kind, state: TaskState::from_code(code)?, output })
        };
        Ok(rows.into_iter().filter_map(|row| parent(row.id, row.kind, row.state, row.output)).collect())
    }
}
