//! Load by wrk: one thread of C, so that little of the machine goes to asking.
#![expect(clippy::disallowed_methods, reason = "wrk is a program of its own")]

use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::process::Command;

use super::Outcome;
use super::figures::Rate;

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
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let script = std::env::temp_dir().join(format!("spool-bench-{}-{stamp}.lua", std::process::id()));
        tokio::fs::write(&script, format!("{}{DONE}", self.script)).await?;
        let running = Command::new("wrk")
            .args(["-t1", "-c", &connections.to_string(), "-d", &format!("{seconds}s"), "-s"])
            .arg(&script)
            .args(["-H", &format!("x-api-key: {}", self.key), &self.base])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let ended = tokio::time::timeout(Duration::from_secs(u64::from(seconds) + 30), running).await;
        tokio::fs::remove_file(&script).await?;
        let output = ended.map_err(|_| "wrk did not end")?.map_err(|error| format!("wrk: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        let said: Said = serde_json::from_str(last)
            .map_err(|_| format!("wrk said {text}{}", String::from_utf8_lossy(&output.stderr)))?;
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

/// The same order again and again, each time under a key of its own.
pub(super) fn posts(path: &str, order: &Value, keys: &str) -> String {
    format!(
        "wrk.headers['content-type'] = 'application/json'\nlocal count = 0\nrequest = function()\n  count = count + 1\n  \
         wrk.headers['idempotency-key'] = '{keys}-' .. count\n  return wrk.format('POST', '{path}', nil, '{order}')\nend\n"
    )
}
