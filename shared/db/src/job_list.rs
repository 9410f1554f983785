//! Lists of jobs: pages that stay the same while new jobs come, and finished videos.

use crate::error::{DbError, Doing};
use crate::ledger::JobMoney;
use chrono::{DateTime, Utc};
use serde_json::Value;
use spool_job::money::Micros;
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

/// A text is looked for in this many of the newest jobs that the rest of the filter leaves: no index knows parts of words.
pub const SEARCHED: i64 = 10_000;

/// Which jobs. What is left out lets all pass.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only those of this client, because the caller may see no others.
    pub owner: Option<Uuid>,
    /// Only those of this client.
    pub client: Option<Uuid>,
    /// Only those of this campaign.
    pub campaign: Option<Uuid>,
    /// Only this one.
    pub job: Option<i64>,
    /// Only those in one of these states.
    pub states: Vec<&'static str>,
    /// Only those of one of these kinds.
    pub kinds: Vec<&'static str>,
    /// Only those with this in their name, their error, or the title or prompt of a scene; or whose number it is.
    pub text: Option<String>,
    /// Only those asked for at or after this.
    pub from: Option<DateTime<Utc>>,
    /// Only those asked for before this.
    pub to: Option<DateTime<Utc>>,
}

/// A place in the list: after the job with this time and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// Its number.
    pub id: i64,
}

/// A job as a list shows it.
#[derive(Debug, Clone, FromRow)]
pub struct ListedJob {
    /// Its number.
    pub id: i64,
    /// How it came to be.
    pub kind: String,
    /// Where it stands.
    pub state: String,
    /// Raised when a final job is opened again.
    pub revision: i32,
    /// Whose it is.
    pub client_id: Option<Uuid>,
    /// Whose photos.
    pub campaign_id: Option<Uuid>,
    /// For people.
    pub video_name: String,
    /// What it was thought to cost, line by line.
    pub estimate: Value,
    /// What it has spent, in micro-dollars.
    pub settled_micros: i64,
    /// What it holds for purchases whose cost is not known yet, in micro-dollars.
    pub reserved_micros: i64,
    /// How many shots it has.
    pub scenes: i64,
    /// 0 to 100.
    pub progress_percent: i16,
    /// One word for what is going on.
    pub stage: String,
    /// Why it waits, when it does.
    pub parked: Option<String>,
    /// The same, for people.
    pub parked_why: Option<String>,
    /// Made without some of its scenes.
    pub partial: bool,
    /// Stable word for why it failed.
    pub error_code: Option<String>,
    /// Sentence for why it failed.
    pub error: Option<String>,
    /// It has a video (which readers see once it is completed).
    pub has_video: bool,
    /// It has a frame of it.
    pub has_thumbnail: bool,
    /// When it was asked for.
    pub inserted_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When somebody said yes.
    pub approved_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

impl ListedJob {
    /// What it holds and has spent.
    pub fn money(&self) -> JobMoney {
        JobMoney { reserved: Micros(self.reserved_micros), settled: Micros(self.settled_micros) }
    }
}

const COLUMNS: &str =
    "SELECT j.id, j.type AS kind, j.state, j.revision, j.client_id, j.campaign_id, j.video_name, j.estimate,
            (SELECT COALESCE(sum(l.micros), 0)::bigint FROM ledger l WHERE l.job_id = j.id AND l.kind = 'settle') AS settled_micros,
            (SELECT COALESCE(sum(l.micros), 0)::bigint FROM ledger l WHERE l.job_id = j.id AND l.kind = 'reserve' AND NOT EXISTS (
                SELECT 1 FROM ledger later WHERE later.prediction_id = l.prediction_id AND later.kind <> 'reserve')) AS reserved_micros,
            (SELECT count(*) FROM scenes s WHERE s.job_id = j.id) AS scenes,
            j.progress_percent, j.stage, j.parked, j.parked_why, j.partial, j.error_code, j.error,
            j.video_digest IS NOT NULL AS has_video, j.thumbnail_digest IS NOT NULL AS has_thumbnail,
            j.inserted_at, j.updated_at, j.approved_at, j.finished_at FROM ";
const NEWEST: &str = " ORDER BY inserted_at DESC, id DESC LIMIT ";

/// The newest `limit` jobs after a place: a page that new jobs do not shift.
pub async fn after(
    conn: &mut PgConnection,
    filter: &JobFilter,
    place: Option<Place>,
    limit: i64,
) -> Result<Vec<ListedJob>, DbError> {
    let mut query = select(filter, place);
    query.push(NEWEST).push_bind(limit);
    query.build_query_as().fetch_all(conn).await.doing("list the jobs")
}

/// The newest `limit` jobs after the first `offset`, as older clients turn pages.
pub async fn page(
    conn: &mut PgConnection,
    filter: &JobFilter,
    limit: i64,
    offset: i64,
) -> Result<Vec<ListedJob>, DbError> {
    let mut query = select(filter, None);
    query.push(NEWEST).push_bind(limit).push(" OFFSET ").push_bind(offset);
    query.build_query_as().fetch_all(conn).await.doing("list the jobs")
}

/// How many jobs a filter without a text finds, on all pages.
pub async fn count(conn: &mut PgConnection, filter: &JobFilter) -> Result<i64, DbError> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM jobs j WHERE ");
    push_where(&mut query, filter, None);
    query.build_query_scalar().fetch_one(conn).await.doing("count the jobs")
}

fn select(filter: &JobFilter, place: Option<Place>) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(COLUMNS);
    let Some(text) = &filter.text else {
        query.push("jobs j WHERE ");
        push_where(&mut query, filter, place);
        return query;
    };
    query.push("(SELECT * FROM jobs j WHERE ");
    push_where(&mut query, filter, place);
    query.push(NEWEST).push_bind(SEARCHED).push(") j WHERE (j.id::text = ").push_bind(text.clone());
    let pattern = pattern(text);
    for column in ["j.video_name", "j.error"] {
        query.push(format!(" OR {column} ILIKE ")).push_bind(pattern.clone());
    }
    query.push(" OR EXISTS (SELECT FROM scenes s WHERE s.job_id = j.id AND (s.title ILIKE ");
    query.push_bind(pattern.clone()).push(" OR s.prompt ILIKE ").push_bind(pattern).push(")))");
    query
}

fn push_where(query: &mut QueryBuilder<Postgres>, filter: &JobFilter, place: Option<Place>) {
    query.push("j.deleted_at IS NULL");
    for client in filter.owner.iter().chain(&filter.client) {
        query.push(" AND j.client_id = ").push_bind(*client);
    }
    if let Some(campaign) = filter.campaign {
        query.push(" AND j.campaign_id = ").push_bind(campaign);
    }
    if let Some(job) = filter.job {
        query.push(" AND j.id = ").push_bind(job);
    }
    for (column, words) in [("state", &filter.states), ("type", &filter.kinds)] {
        if !words.is_empty() {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            query.push(format!(" AND j.{column} = ANY(")).push_bind(words).push(")");
        }
    }
    if let Some(from) = filter.from {
        query.push(" AND j.inserted_at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" AND j.inserted_at < ").push_bind(to);
    }
    if let Some(place) = place {
        query.push(" AND (j.inserted_at, j.id) < (").push_bind(place.at).push(", ");
        query.push_bind(place.id).push(")");
    }
}

/// The text itself, wherever it stands: its own `%`, `_` and `\` mean nothing.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_no_pattern() {
        for (text, wanted) in [("Lodge", "%Lodge%"), ("100%", "%100\\%%"), ("a_b\\c", "%a\\_b\\\\c%")] {
            assert_eq!(pattern(text), wanted);
        }
    }
}
