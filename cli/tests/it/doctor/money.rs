//! Purchases, budgets, providers and prices.

use sqlx::PgPool;

use super::{doctor, installed, sql};

/// A job on its way that has bought one thing and is buying another, with its money as it must be.
const JOB: &str = "
    INSERT INTO jobs (id, type, state, video_name, spec, estimate, estimate_micros, stage, approved_at)
        OVERRIDING SYSTEM VALUE VALUES (7, 'image_pairs', 'processing', 'v', '{\"model\": \"google/veo-3.1-fast\"}', '{}', 200, 'rendering', now());
    INSERT INTO queue.task (queue, kind, payload, state, group_key, run_at) VALUES ('predict', 'render', '{}', 2, 'job/7', now() + interval '1 hour');
    INSERT INTO predictions (id, job_id, purpose, ordinal, attempt, task_id, lease_token, provider, model, input, input_digest, unit, state,
                             external_id, estimate_micros, cost_micros, finished_at, output_gone_at)
    SELECT ('00000000-0000-7000-8000-00000000000' || n)::uuid, 7, 'music', n, 1, 1, 1, 'replicate', 'google/veo-3.1-fast', '{}', repeat('0', 64),
           'second', state, 'x' || n, 100, cost, now(), now() + interval '1 hour'
    FROM (VALUES (1, 'succeeded', 100), (2, 'submitted', NULL)) p (n, state, cost);
    INSERT INTO ledger (prediction_id, job_id, model, kind, micros)
    SELECT id, job_id, model, kind, 100 FROM predictions, unnest(ARRAY['reserve', 'settle']) kind WHERE kind = 'reserve' OR state = 'succeeded';
    INSERT INTO budget_periods (budget_id, starts_on, hard_micros, reserved_micros, settled_micros)
    SELECT b.id, p.starts_on, b.hard_micros, 100, 100 FROM budgets b, budget_period(b.period, b.zone, now()) p
    ON CONFLICT (budget_id, starts_on) DO UPDATE SET reserved_micros = 100, settled_micros = 100;
    INSERT INTO budget_holds (prediction_id, budget_id, starts_on, micros)
    SELECT '00000000-0000-7000-8000-000000000002', bp.budget_id, bp.starts_on, 100 FROM budget_periods bp WHERE reserved_micros = 100";

#[sqlx::test(migrations = false)]
async fn books_that_differ_are_told(pool: PgPool) {
    installed(&pool).await;
    sql(&pool, JOB).await;
    let found = doctor(&pool, &[]).await;
    for check in ["invariants", "spending", "breakers", "doubt", "custody", "prices", "webhooks"] {
        found.is_well(check);
    }
    for (change, undo, name) in [
        (
            "UPDATE ledger SET micros = 99 WHERE kind = 'settle'",
            "UPDATE ledger SET micros = 100",
            "ledger_amount (ledger): 1 ",
        ),
        (
            "UPDATE budget_periods SET settled_micros = 101",
            "UPDATE budget_periods SET settled_micros = 100",
            "budget_settled (budgets): 1 budgets that have settled more or less than the ledger: all day",
        ),
        (
            "UPDATE budget_holds SET micros = 99",
            "UPDATE budget_holds SET micros = 100",
            "budget_reserved (budgets): 1 ",
        ),
        (
            "UPDATE predictions SET state = 'void' WHERE state = 'submitted'",
            "UPDATE predictions SET state = 'submitted' WHERE state = 'void'",
            "hold_ended (budgets): 1 ",
        ),
        (
            "UPDATE predictions SET estimate_micros = 99 WHERE state = 'submitted'",
            "UPDATE predictions SET estimate_micros = 100",
            "ledger_open (ledger): 1 ",
        ),
        (
            "UPDATE jobs SET state = 'canceled', finished_at = now()",
            "UPDATE jobs SET state = 'processing', finished_at = NULL",
            "job_ended_open (jobs): 1 ",
        ),
        (
            "UPDATE jobs SET updated_at = now() - interval '1 hour'; UPDATE queue.task SET group_key = 'job/8'",
            "UPDATE queue.task SET group_key = 'job/7'",
            "job_forgotten (jobs): 1 ",
        ),
    ] {
        sql(&pool, change).await;
        let found = doctor(&pool, &[]).await;
        found.has("invariants", "error", name);
        assert_eq!(found.code, Some(1));
        sql(&pool, undo).await;
    }
    doctor(&pool, &[]).await.is_well("invariants");
    // What is over is left out when there is no time for it.
    sql(
        &pool,
        "UPDATE ledger SET at = at - interval '1 hour'; UPDATE ledger SET micros = 99 WHERE kind = 'settle'",
    )
    .await;
    doctor(&pool, &["--quick"]).await.is_well("invariants");
}

#[sqlx::test(migrations = false)]
async fn what_waits_for_a_person_is_told(pool: PgPool) {
    installed(&pool).await;
    sql(&pool, JOB).await;
    sql(
        &pool,
        "INSERT INTO spend_stop (why, by) VALUES ('prices look wrong', 'ann');
         UPDATE budgets SET soft_micros = 100, hard_micros = 200; UPDATE budget_periods SET hard_micros = 200;
         UPDATE predictions SET state = 'in_doubt' WHERE state = 'submitted';
         UPDATE predictions SET output_lost_at = now() WHERE state = 'succeeded';
         INSERT INTO breakers (provider, model, open_until, opened_at, opened_by, why)
         VALUES ('replicate', '*', now() + interval '1 minute', now(), 'account', 'no credit'),
                ('replicate', 'a/b', now() + interval '1 minute', now(), 'run', '7 of 9 failed'),
                ('replicate', 'c/d', now() + interval '1 minute', now(), 'operator', 'we wait for the fix')",
    )
    .await;
    let found = doctor(&pool, &[]).await;
    found.has("spending", "warning", "all new spending is stopped");
    found.has("spending", "warning", "the daily budget of everything is used up");
    found.has(
        "doubt",
        "warning",
        "1 purchases are in doubt, and their jobs wait for a person: 00000000-0000-7000-8000-000000000002",
    );
    found.has("custody", "warning", "1 outputs were paid for ($0.0001) in the last seven days and deleted");
    found.has("breakers", "error", "by account: no credit");
    found.has("breakers", "warning", "by run: 7 of 9 failed");
    found.has("breakers", "note", "by operator: we wait for the fix");

    sql(
        &pool,
        "DELETE FROM spend_stop; UPDATE budgets SET hard_micros = 1000; UPDATE budget_periods SET hard_micros = 1000, settled_micros = 101;
         UPDATE predictions SET output_lost_at = now() - interval '10 days' WHERE state = 'succeeded'; UPDATE jobs SET spec = '{\"model\": \"a/b\"}'",
    )
    .await;
    let found = doctor(&pool, &[]).await;
    found.has("spending", "note", "has passed its soft limit");
    found.has("custody", "note", "1 outputs were once paid for and lost");
    found.has(
        "prices",
        "error",
        "1 jobs or purchases under way are of a/b, which this program does not know",
    );

    sql(&pool, "UPDATE predictions SET output_lost_at = NULL, output_gone_at = now() + interval '10 minutes' WHERE state = 'succeeded'").await;
    doctor(&pool, &[]).await.has(
        "custody",
        "warning",
        "1 outputs wait to be fetched; the first is deleted in 10 min",
    );
}
