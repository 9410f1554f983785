//! What can be made to go wrong, and when: the bodies of `POST /_sim/faults`.

use crate::price::Charge;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A fault and when it strikes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which calls it looks at; all of them when empty.
    #[serde(default, rename = "match")]
    pub matching: Matching,
    /// How often it strikes. Without it: always for a probability and for standing conditions
    /// (`hold`, `e6716_above`, `list_lag`, `list_hidden`), else once.
    #[serde(default)]
    pub times: Option<Times>,
    /// What happens.
    pub fault: Fault,
}

/// Which calls a rule looks at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matching {
    /// `owner/name`.
    #[serde(default)]
    pub model: Option<String>,
    /// HTTP faults only; default `create`. The other faults know their place.
    #[serde(default)]
    pub route: Option<Route>,
    /// Only the nth call that matches otherwise, counted from 1.
    #[serde(default)]
    pub nth: Option<u64>,
    /// Chance per call, drawn from the seed.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Text that the input (as JSON) must contain.
    #[serde(default)]
    pub input_contains: Option<String>,
    /// `start`, `output`, `logs` or `completed`. Webhook faults only.
    #[serde(default)]
    pub event: Option<String>,
}

/// A group of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// The three that create a prediction.
    Create,
    /// Reading one.
    Get,
    /// Listing them.
    List,
    /// Cancelling one.
    Cancel,
    /// The files API.
    Files,
    /// Models, versions, collections, deployments.
    Models,
    /// Account, hardware, webhook secret.
    Account,
    /// xAI's chat completions.
    Xai,
    /// Outputs on the CDN.
    Cdn,
    /// Webhooks that go out.
    Webhook,
}

/// How often a rule strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Times {
    /// So many times.
    Count(u64),
    /// For ever.
    Word(Always),
}

/// The word `always`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Always {
    /// For ever.
    Always,
}

/// When an HTTP fault strikes, seen from the creation of the prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Nothing has been created.
    Before,
    /// The prediction exists and will be charged.
    After,
}

/// Where a 429 says how long to wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetryAfterIn {
    /// The body's `retry_after`.
    #[default]
    Body,
    /// The `Retry-After` header.
    Header,
    /// The sentence only.
    Text,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// HTTP: the answer comes late (real milliseconds). `after`: what was asked for is done at once.
    Latency {
        response_ms: u64,
        #[serde(default = "before")]
        when: When,
    },
    /// HTTP: 429.
    Throttle {
        retry_after: u64,
        #[serde(default)]
        say_in: RetryAfterIn,
    },
    /// HTTP: 402, the account has no credit.
    NoCredit,
    /// HTTP: any error status; `after` is the one that makes clients buy twice.
    HttpError { status: u16, when: When },
    /// HTTP: the connection closes without an answer.
    DropResponse {
        #[serde(default = "after")]
        when: When,
    },
    /// HTTP: what was asked for is done, and the connection closes in the middle of the answer's body.
    BreakOff,
    /// Run: does not end by itself while this rule is in force; `POST /_sim/release` lets so many of them end.
    Hold,
    /// Run: takes this long instead of the model's median (simulated seconds).
    RunTime { seconds: f64 },
    /// Run: a model that is billed by GPU time is billed so many seconds when it succeeds.
    GpuTime { seconds: f64 },
    /// Run: never leaves `starting` until cancelled or past its deadline.
    StuckStarting,
    /// Run: never leaves `processing` until cancelled or past its deadline.
    StuckProcessing,
    /// Run: fails with this text. `before_start` means that the model never ran.
    Fail {
        error: String,
        #[serde(default)]
        before_start: bool,
        #[serde(default)]
        charge: Option<Charge>,
    },
    /// Run: fails with E6716 when more than `n` of the model run at once.
    E6716Above { n: usize },
    /// Run: succeeds with this output instead of the URL.
    BadOutput { output: Value },
    /// CDN: only this share of the bytes comes. The connection breaks, or (`short_file`) all looks well.
    DownloadTruncated {
        percent: u64,
        #[serde(default)]
        short_file: bool,
    },
    /// CDN: 200 with an HTML page.
    DownloadHtml,
    /// CDN: an error status.
    DownloadError { status: u16 },
    /// CDN: no `Content-Length`.
    DownloadNoLength,
    /// CDN: 200 with no bytes.
    DownloadEmpty,
    /// CDN: so many real milliseconds for each 64 KiB.
    DownloadSlow { ms_per_chunk: u64 },
    /// CDN: the output is gone, as after an hour.
    OutputExpired,
    /// Webhook: never sent.
    WebhookLost,
    /// Webhook: sent this much later (real milliseconds).
    WebhookLate { ms: u64 },
    /// Webhook: sent this many times in all.
    WebhookDouble {
        #[serde(default = "two")]
        copies: u32,
    },
    /// Webhook: this one is held until after the terminal one.
    WebhookReorder,
    /// Webhook: signed with another key.
    WebhookBadSignature,
    /// Webhook: signed ten minutes ago.
    WebhookStale,
    /// List: predictions show up this much later (simulated seconds).
    ListLag { seconds: f64 },
    /// List: predictions of this model do not show up.
    ListHidden,
    /// Cancel: 200, but the run goes on and succeeds.
    CancelIgnored,
    /// xAI: 429, the rate limit.
    XaiRateLimit,
    /// xAI: 429, no credit; waiting does not help.
    XaiBilling,
    /// xAI: 429, at capacity.
    XaiCapacity,
    /// xAI: 200 with an error body.
    XaiOkError,
    /// xAI: the content is no JSON.
    XaiInvalidJson,
    /// xAI: the content is JSON of another shape.
    XaiWrongShape,
    /// xAI: the content is cut, `finish_reason` is `length`.
    XaiTruncated,
    /// xAI: it would rather not.
    XaiRefusal,
}

/// Where in the simulator a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Http,
    Run,
    Download,
    Webhook,
    List,
    Cancel,
    Xai,
}

impl Fault {
    pub(crate) fn stage(&self) -> Stage {
        use Fault as F;
        match self {
            F::Latency { .. }
            | F::Throttle { .. }
            | F::NoCredit
            | F::HttpError { .. }
            | F::DropResponse { .. }
            | F::BreakOff => Stage::Http,
            F::Hold
            | F::RunTime { .. }
            | F::GpuTime { .. }
            | F::StuckStarting
            | F::StuckProcessing
            | F::Fail { .. }
            | F::E6716Above { .. }
            | F::BadOutput { .. } => Stage::Run,
            F::DownloadTruncated { .. }
            | F::DownloadHtml
            | F::DownloadError { .. }
            | F::DownloadNoLength
            | F::DownloadEmpty
            | F::DownloadSlow { .. }
            | F::OutputExpired => Stage::Download,
            F::WebhookLost
            | F::WebhookLate { .. }
            | F::WebhookDouble { .. }
            | F::WebhookReorder
            | F::WebhookBadSignature
            | F::WebhookStale => Stage::Webhook,
            F::ListLag { .. } | F::ListHidden => Stage::List,
            F::CancelIgnored => Stage::Cancel,
            F::XaiRateLimit
            | F::XaiBilling
            | F::XaiCapacity
            | F::XaiOkError
            | F::XaiInvalidJson
            | F::XaiWrongShape
            | F::XaiTruncated
            | F::XaiRefusal => Stage::Xai,
        }
    }

    /// A condition of the service rather than an accident: it lasts unless told otherwise.
    pub(crate) fn is_standing(&self) -> bool {
        matches!(self, Self::Hold | Self::E6716Above { .. } | Self::ListLag { .. } | Self::ListHidden)
    }
}

fn before() -> When {
    When::Before
}

fn after() -> When {
    When::After
}

fn two() -> u32 {
    2
}
