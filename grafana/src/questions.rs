//! Every question of every panel as it can be asked without Grafana, for tests and for drawing.

use crate::panel::{Bad, Dashboard, Draw, Source};
use serde_json::{Value, json};

/// In the place of `$__rate_interval` and `$__range`.
const INTERVAL: &str = "1m";
const RANGE: &str = "1h";

/// One object for each query, in the order of the panels.
pub(crate) fn list(boards: &[Dashboard]) -> Vec<Value> {
    let mut all = Vec::new();
    for board in boards {
        for row in &board.rows {
            for panel in &row.panels {
                for query in &panel.queries {
                    let source = match query.source {
                        Source::Prometheus => "prometheus",
                        Source::Postgres => "postgres",
                    };
                    all.push(json!({
                        "dashboard": board.uid, "row": row.title, "panel": panel.title, "draw": panel.draw.kind(),
                        "stacked": if panel.draw == Draw::Stacked { "yes" } else { "no" }, "unit": panel.unit,
                        "meaning": panel.meaning, "runbook": panel.runbook,
                        "above": match panel.bad { Some(Bad::Above(limit)) => Some(limit), _ => None },
                        "below": match panel.bad { Some(Bad::Below(limit)) => Some(limit), _ => None }, "source": source, "legend": query.legend,
                        "width": panel.width, "height": panel.height,
                        "query": ready(board, &query.text, query.source),
                    }));
                }
            }
        }
    }
    all
}

/// Without variables: all values of each; of SQL, the number of the job is its one parameter.
pub(crate) fn ready(board: &Dashboard, text: &str, source: Source) -> String {
    let mut ready = text.replace("$__rate_interval", INTERVAL).replace("$__range", RANGE);
    for variable in &board.variables {
        ready = match source {
            Source::Prometheus => ready.replace(&format!("${}", variable.name()), ".*"),
            Source::Postgres => ready.replace(&format!("${{{}:sqlstring}}", variable.name()), "$1::text"),
        };
    }
    ready
}
