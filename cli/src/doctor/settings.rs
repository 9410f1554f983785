//! What every deployment has to set, as far as this shell knows it, whether webhooks come, and whether anybody can call. No value is shown.

use spool_db::checkup::{self, Keys, Webhooks};
use sqlx::PgConnection;

use super::finding::or_ok;
use super::{Finding, Findings};

/// So many purchases of a day must have brought a message.
const SOME: i64 = 10;
const SHORTEST_KEY: usize = 32;
/// What API and workers need, and what for.
const NEEDED: [(&str, &str); 4] = [
    ("REPLICATE_API_TOKEN", "the provider's account"),
    ("PUBLIC_BASE_URL", "the address that providers call back"),
    ("SPOOL_SIGNING_KEY", "signs links to media"),
    ("SPOOL_MEDIA_URL", "where media lie"),
];

pub(super) fn look(read: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let given = |name: &str| read(name).filter(|value| !value.trim().is_empty());
    let mut found = Vec::new();
    let missing: Vec<String> = NEEDED
        .iter()
        .filter(|(name, _)| given(name).is_none())
        .map(|(name, what)| format!("{name} ({what})"))
        .collect();
    if !missing.is_empty() {
        found.push(Finding::note(format!(
            "not set in this shell, and perhaps where API and workers run: {}",
            missing.join(", ")
        )));
    }
    if given("SPOOL_SIGNING_KEY").is_some_and(|key| key.len() < SHORTEST_KEY) {
        found.push(Finding::error(
            format!("SPOOL_SIGNING_KEY is shorter than {SHORTEST_KEY} characters: API and workers will not start with it"),
            "make one: `openssl rand -hex 32`",
        ));
    }
    if given("REPLICATE_WEBHOOK_SECRET").is_some_and(|secret| !secret.starts_with("whsec_")) {
        found.push(Finding::warning(
            "REPLICATE_WEBHOOK_SECRET does not look like one: every webhook will be refused",
            "unset it, then the account is asked: `unset REPLICATE_WEBHOOK_SECRET`",
        ));
    }
    or_ok(found, || {
        let secret = if given("REPLICATE_WEBHOOK_SECRET").is_some() {
            "the webhook secret is set, too"
        } else {
            "the webhook secret is not, so the account is asked for it"
        };
        format!("token, signing key, address and media are set; {secret}")
    })
}

pub(super) async fn webhooks(conn: &mut PgConnection) -> Findings {
    let Webhooks { received, settled } = checkup::webhooks(conn).await?;
    let what = format!("{settled} purchases were settled in the last 24 hours, and {received} webhooks came");
    Ok(vec![if settled >= SOME && received == 0 {
        Finding::warning(
            format!("{what}: ends are only seen by polling"),
            "the provider must reach the API: `curl -i $PUBLIC_BASE_URL/healthz` from outside; its log says when a signature is refused",
        )
    } else {
        Finding::ok(what)
    }])
}

pub(super) async fn keys(conn: &mut PgConnection) -> Findings {
    let Keys { usable, expiring } = checkup::keys(conn).await?;
    Ok(vec![if usable == 0 {
        Finding::warning(
            "there is no API key: every call is refused",
            "`spool keys create --name frontend --scopes read,write`",
        )
    } else if expiring > 0 {
        Finding::note(format!("{expiring} of {usable} API keys expire within a week"))
    } else {
        Finding::ok(format!("{usable} API keys can be used"))
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn settings_are_judged_and_never_shown() {
        let secret = "not-to-be-seen";
        let all = |name: &str| match name {
            "SPOOL_SIGNING_KEY" => Some(secret.repeat(3)),
            "REPLICATE_WEBHOOK_SECRET" => Some(format!("whsec_{secret}")),
            _ => Some(secret.to_owned()),
        };
        let severities = |found: &[Finding]| found.iter().map(|f| f.severity).collect::<Vec<_>>();
        assert_eq!(severities(&look(all)), [Severity::Ok]);
        assert_eq!(severities(&look(|_| None)), [Severity::Note]);
        let poor = look(|_| Some(secret.to_owned()));
        assert_eq!(severities(&poor), [Severity::Error, Severity::Warning]);
        for finding in look(all).into_iter().chain(poor) {
            assert!(!format!("{finding:?}").contains(secret), "{finding:?}");
        }
    }
}
