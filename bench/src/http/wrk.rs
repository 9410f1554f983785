//! Load by wrk: one thread of C, so that little of the machine goes to asking.

use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;

use super::Outcome;
use super::figures::Rate;
use crate::program::output_of;

/// What wrk's script says at the end.
const DONE: &str = r#"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"micros":%d,"p50":%d,"p99":%d,"failed":%d}\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"#;

/// What to ask of whom.
pub(super) struct Load {
    pub(super) base: String,
    pub(super) key: String,
    pub(super) script: String,
}

#[derive(Deserialize)]
struct Said {
    requests: f64,
    micros: f64,
    p50: f64,
    p99: f64,
    failed: u64,
}

impl Load {
    /// # Errors
    /// Why wrk could not run, or how many answers were none.
    pub(super) async fn run(&self, connections: u32, seconds: u32) -> Outcome<Rate> {
        let script = std::env::temp_dir().join(format!("spool-bench-{}.lua", std::process::id()));
        tokio::fs::write(&script, format!("{}{DONE}", self.script)).await?;
        let (count, time) = (connections.to_string(), format!("{seconds}s"));
        let (path, key) = (script.display().to_string(), format!("x-api-key: {}", self.key));
        let args = ["-t1", "-c", &count, "-d", &time, "-s", &path, "-H", &key, &self.base];
        let ended = output_of("wrk", &args, Duration::from_secs(u64::from(seconds) + 30)).await;
        tokio::fs::remove_file(&script).await?;
        let text = ended?;
        let last = text.lines().last().unwrap_or_default();
        let said: Said = serde_json::from_str(last).map_err(|_| format!("wrk said {text}"))?;
        if said.failed > 0 {
            return Err(
                format!("{} of {} requests to {} failed", said.failed, said.requests, self.base).into()
            );
        }
        Ok(Rate {
            per_second: said.requests / said.micros * 1e6,
            p50_ms: said.p50 / 1e3,
            p99_ms: said.p99 / 1e3,
        })
    }
}

/// Each id in turn, with the tag that its answer had.
pub(super) fn gets(prefix: &str, ids: &[i64], tags: Option<&[String]>) -> String {
    let mut script = "local asked, next = {}, 0\ninit = function(args)\n".to_owned();
    for (index, id) in ids.iter().enumerate() {
        let headers =
            tags.map_or(String::new(), |tags| format!("wrk.headers['if-none-match'] = '{}'\n", tags[index]));
        writeln!(script, "{headers}asked[#asked + 1] = wrk.format('GET', '{prefix}{id}')")
            .unwrap_or_default();
    }
    script + "end\nrequest = function()\n  next = next % #asked + 1\n  return asked[next]\nend\n"
}

/// The orders in turns, each time under a key of its own.
pub(super) fn posts(path: &str, orders: &[Value], keys: &str) -> String {
    let orders: Vec<String> = orders.iter().map(|order| format!("'{order}'")).collect();
    let orders = orders.join(", ");
    format!(
        "wrk.headers['content-type'] = 'application/json'\nlocal orders, count = {{{orders}}}, 0\nrequest = function()\n  \
         count = count + 1\n  wrk.headers['idempotency-key'] = '{keys}-' .. count\n  \
         return wrk.format('POST', '{path}', nil, orders[count % #orders + 1])\nend\n"
    )
}
