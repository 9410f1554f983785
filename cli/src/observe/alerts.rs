//! What Alertmanager would tell people, told here: each alert when it comes and when it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;

const PERIOD: Duration = Duration::from_secs(5);
/// Always fires and is for machines.
const WATCHDOG: &str = "Watchdog";

/// Tells them until it is dropped.
pub(crate) async fn tell(client: &Client, alertmanager: &str) {
    let mut before = BTreeMap::new();
    let mut tick = tokio::time::interval(PERIOD);
    loop {
        tick.tick().await;
        // While it does not answer, nothing is known: neither that they come nor that they are over.
        let Some(now) = active(client, alertmanager).await else { continue };
        for line in news(&before, &now) {
            println!("{line}");
        }
        before = now;
    }
}

/// What is told just now, by what tells alerts apart.
async fn active(client: &Client, alertmanager: &str) -> Option<BTreeMap<String, Value>> {
    let url = format!("{alertmanager}/api/v2/alerts?active=true&silenced=false&inhibited=false");
    let alerts: Vec<Value> = client.get(url).send().await.ok()?.json().await.ok()?;
    let told = alerts.into_iter().filter(|alert| alert["labels"]["alertname"] != WATCHDOG);
    Some(told.map(|alert| (alert["fingerprint"].to_string(), alert)).collect())
}

fn news(before: &BTreeMap<String, Value>, now: &BTreeMap<String, Value>) -> Vec<String> {
    let come = now.iter().filter(|(id, _)| !before.contains_key(*id)).map(|(_, alert)| line("!!", alert));
    let over = before.iter().filter(|(id, _)| !now.contains_key(*id)).map(|(_, alert)| line("over", alert));
    come.chain(over).collect()
}

fn line(what: &str, alert: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (labels, notes) = (&alert["labels"], &alert["annotations"]);
    let (severity, name) = (word(&labels["severity"]), word(&labels["alertname"]));
    format!("  {what:<4} {severity:<8} {name}: {}  ({})", word(&notes["summary"]), word(&notes["runbook"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_alert_is_told_when_it_comes_and_when_it_is_over() {
        let alert = json!({"labels": {"alertname": "A", "severity": "page"}, "annotations": {"summary": "s", "runbook": "r"}});
        let one = BTreeMap::from([("1".to_owned(), alert)]);
        assert_eq!(news(&BTreeMap::new(), &one), ["  !!   page     A: s  (r)"]);
        assert!(news(&one, &one).is_empty());
        assert_eq!(news(&one, &BTreeMap::new()), ["  over page     A: s  (r)"]);
    }
}
