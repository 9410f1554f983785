//! The least that this stack can do: axum, one statement of sqlx on one narrow table, and nothing around it.
#![expect(clippy::disallowed_methods, reason = "the table is one that does not exist when this is compiled")]

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use tokio::net::TcpListener;

use super::Outcome;

/// Rows that are read in turns; as ids of the jobs that are polled beside it come in here, each is found.
const ROWS: i64 = 10_000;

/// Serves it until the process ends; its address.
pub(super) async fn start(pool: PgPool) -> Outcome<String> {
    for statement in [
        "CREATE SCHEMA IF NOT EXISTS bench_http",
        "DROP TABLE IF EXISTS bench_http.jobs",
        "CREATE TABLE bench_http.jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state text NOT NULL, stage text NOT NULL,
             percent integer NOT NULL DEFAULT 0, payload jsonb NOT NULL, inserted_at timestamptz NOT NULL DEFAULT now())",
    ] {
        sqlx::query(statement).execute(&pool).await?;
    }
    sqlx::query("INSERT INTO bench_http.jobs (state, stage, payload) SELECT 'pending', 'storyboard', '{\"a\": 1}' FROM generate_series(1, $1)")
        .bind(ROWS)
        .execute(&pool)
        .await?;
    let app =
        Router::new().route("/jobs/{id}", get(one_row)).route("/jobs", post(one_insert)).with_state(pool);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(format!("http://{address}"))
}

async fn one_row(State(pool): State<PgPool>, Path(id): Path<i64>) -> Result<Json<Value>, StatusCode> {
    let row =
        sqlx::query("SELECT id, state, stage, percent, payload FROM bench_http.jobs WHERE id = $1").bind(id);
    let row = row.fetch_one(&pool).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({
        "id": row.get::<i64, _>(0), "state": row.get::<String, _>(1), "stage": row.get::<String, _>(2),
        "percent": row.get::<i32, _>(3), "payload": row.get::<Value, _>(4),
    })))
}

async fn one_insert(
    State(pool): State<PgPool>,
    Json(body): Json<Value>,
) -> Result<(StatusCode, Json<Value>), StatusCode> {
    let insert = sqlx::query_scalar::<_, i64>(
        "INSERT INTO bench_http.jobs (state, stage, payload) VALUES ('pending', 'storyboard', $1) RETURNING id",
    );
    let id = insert.bind(body).fetch_one(&pool).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok((StatusCode::CREATED, Json(json!({"job_id": id}))))
}
