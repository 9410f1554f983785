//! The vocabulary as it stands in docs/observability.md, made from the declarations.

use spool_telemetry::declared::{Declared, Label};
use spool_telemetry::vocabulary::PARTS;
use std::fmt::Write as _;

const BEGIN: &str = "<!-- vocabulary: begin (written by make dashboards) -->";
const END: &str = "<!-- vocabulary: end -->";

/// The page with its tables made anew; none when it lacks the marks between which they stand.
pub(crate) fn renewed(page: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n{END}{after}", tables()))
}

fn tables() -> String {
    let mut text = String::new();
    for (title, part) in PARTS {
        // Writing to a string cannot fail.
        write!(
            text,
            "### {title}\n\n| metric | kind | by | labels | meaning |\n| --- | --- | --- | --- | --- |\n"
        )
        .ok();
        for metric in *part {
            writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                metric.name,
                metric.kind.as_str(),
                metric.by.as_str(),
                labels(metric),
                metric.meaning
            )
            .ok();
        }
        text.push('\n');
    }
    text
}

fn labels(metric: &Declared) -> String {
    let words = |label: &Label| {
        // A long list says less than the name.
        let short = !label.values.is_empty() && label.values.len() <= 6;
        if short {
            format!("`{}`: {}", label.name, label.values.join(", "))
        } else {
            format!("`{}`", label.name)
        }
    };
    metric.labels.iter().map(words).collect::<Vec<_>>().join("; ")
}
