//! `deliver`: tell an endpoint of a caller what has happened. At least once: the try is written down before a byte goes out, and a run
//! that died is followed by another with the same `webhook-id`.

use crate::context::Context;
use crate::crash::crash_point;
use crate::hooks::{self, Tried};
use crate::meter;
use serde_json::json;
use spool_db::hooks::sending::{self, Answered, Due, Next};
use spool_job::hook_event::HookEvent;
use spool_job::tasks::{DeliverTask, PAYLOAD_VERSION, TaskKind, hook_group_key};
use spool_provider::hook::{self, Message, Reply};
use spool_provider::hook_secret::SecretError;
use spool_queue::{Done, Failure, Handler, NewTask, Outcome, RetryPolicy, Run};
use sqlx::PgConnection;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// An endpoint that nothing has reached for so long is disabled when another delivery is given up.
const PATIENCE: Duration = Duration::from_secs(3 * 24 * 3600);
const DISABLED: &str = "the endpoint is disabled";

/// The step.
pub(super) struct Deliver(pub(super) Arc<Context>);

impl Handler for Deliver {
    const KIND: &'static str = TaskKind::Deliver.as_str();
    const QUEUE: &'static str = TaskKind::Deliver.queue();
    /// Beyond the longest wait that can be set, and a look-up of the name.
    const TIMEOUT: Duration = Duration::from_secs(90);
    /// Tries are counted by deliveries; these are for our own trouble, which must not lose one.
    const RETRY: RetryPolicy = RetryPolicy::new(1000, &[1, 5, 15, 60]);
    type Payload = DeliverTask;

    async fn run(&self, task: DeliverTask, run: Run) -> Result<Done, Failure> {
        let (ctx, id) = (&*self.0, task.delivery_id);
        let mut tx = ctx.pool.begin().await?;
        let Some(due) = sending::due(&mut tx, id).await? else {
            return Ok(Outcome::Cancel { why: "the endpoint was deleted".into() }.into());
        };
        if !due.pending {
            return Ok(Done::nothing());
        }
        if !due.enabled {
            sending::give_up(&mut tx, id, DISABLED).await?;
            meter::webhook("failed", None);
            return Ok(run.commit(tx, Outcome::done()).await?);
        }
        let number = sending::begin(&mut tx, id, run.token().0).await?;
        run.check(&mut tx).await?;
        tx.commit().await?;
        crash_point!(HookBegun);

        let reply = send(ctx, &run, id, &due).await;
        crash_point!(HookSent);

        let next = hooks::next(Tried { delivery: id, event: &due.event, before: due.tries }, &reply);
        let mut tx = ctx.pool.begin().await?;
        let answered = Answered {
            status: reply.status,
            took: reply.took,
            error: reply.error.clone(),
            answer: reply.answer.clone(),
        };
        sending::answered(&mut tx, id, number, &answered, next).await?;
        judge(&mut tx, &due, &reply, next).await?;
        let outcome = match next {
            Next::Again(after) => Outcome::park_in(after, reply.error.clone().unwrap_or_default()),
            Next::Delivered | Next::GivenUp => Outcome::Done(json!({"status": reply.status})),
        };
        crash_point!(HookUncommitted);
        let done = run.commit(tx, outcome).await?;
        crash_point!(HookRecorded);
        meter::webhook(outcome_of(next, &reply), Some(reply.took));
        Ok(done)
    }
}

/// The task that sends a delivery; one at a time.
pub(crate) fn of(delivery_id: Uuid, endpoint_id: Uuid) -> NewTask {
    let payload = DeliverTask { delivery_id };
    NewTask::new(TaskKind::Deliver.as_str(), TaskKind::Deliver.queue(), PAYLOAD_VERSION, &payload)
        .unique_key(delivery_id.to_string())
        .group_key(hook_group_key(endpoint_id))
        .share_key(endpoint_id.to_string())
}

async fn send(ctx: &Context, run: &Run, id: Uuid, due: &Due) -> Reply {
    let secrets = [Some(&due.secret), due.former.as_ref()].into_iter().flatten();
    let secrets: Result<Vec<_>, SecretError> =
        secrets.map(|sealed| ctx.hook_secrets.again(&sealed.salt, &sealed.digest)).collect();
    let secrets = match secrets {
        Ok(secrets) => secrets,
        Err(error) => {
            tracing::error!(endpoint_id = %due.endpoint_id, error = &error as &dyn std::error::Error, "a webhook cannot be signed");
            return Reply::not_sent(error.to_string());
        }
    };
    let (id, body) = (id.to_string(), due.payload.to_string());
    let message = Message { id: &id, at: run.now(), body, secrets: &secrets };
    hook::send(&ctx.fetch, &due.url, message, ctx.settings.hook_timeout).await
}

/// What the try says of the endpoint.
async fn judge(conn: &mut PgConnection, due: &Due, reply: &Reply, next: Next) -> Result<(), Failure> {
    let endpoint = due.endpoint_id;
    if next == Next::Delivered {
        if sending::works(conn, endpoint).await? {
            hooks::speed_up(conn, endpoint).await?;
        }
        return Ok(());
    }
    if sending::fails(conn, endpoint).await? {
        hooks::slow_down(conn, endpoint).await?;
    }
    if hooks::is_gone(reply) && sending::gone(conn, endpoint).await? {
        tracing::warn!(endpoint_id = %endpoint, "a webhook endpoint says that it is gone, and is disabled");
    }
    let was_a_day = next == Next::GivenUp && due.event != HookEvent::Ping.as_str();
    if was_a_day && sending::fails_for(conn, endpoint, PATIENCE).await? {
        tracing::warn!(endpoint_id = %endpoint, "nothing has reached a webhook endpoint for days, and it is disabled");
    }
    Ok(())
}

fn outcome_of(next: Next, reply: &Reply) -> &'static str {
    match next {
        Next::Delivered => "delivered",
        Next::Again(_) => "retried",
        Next::GivenUp if hooks::is_gone(reply) => "gone",
        Next::GivenUp => "failed",
    }
}
