//! The picture of the comparison: for each work one panel with a bar per side, drawn as SVG.

use std::fmt::Write;

use crate::{
    figures::{median, range},
    report::{Report, Row, Section},
    roster::{RAW, SPOOL, Work},
};

const WIDTH: f64 = 900.0;
/// Names are left of this, bars right of it.
const AXIS: f64 = 190.0;
const LONGEST_BAR: f64 = 520.0;
const BAR: f64 = 16.0;
const LINE: f64 = 22.0;
const HEAD: f64 = 34.0;
const GAP: f64 = 18.0;

const PANELS: &[Work] =
    &[Work::DrainTuned, Work::DrainDefault, Work::Enqueue, Work::Batches, Work::SnapshotShort, Work::Pickup];

const STYLE: &str = "text { font: 13px sans-serif; fill: #1f2328; } .title { font-weight: 600; } .small { font-size: 11px; fill: #59636e; }
.raw { fill: #c4c9cf; } .spool { fill: #1a7f5a; } .peer { fill: #7d9cc0; } .whisker { stroke: #1f2328; stroke-width: 1; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .small { fill: #9198a1; } .raw { fill: #59636e; } .whisker { stroke: #e6edf3; } }";

pub(crate) fn draw(report: &Report) -> String {
    let mut body = String::new();
    let mut top = 8.0;
    for &work in PANELS {
        let mut rows: Vec<&Row> = report
            .rows
            .iter()
            .filter(|row| {
                row.section == Section::Compare && row.work == work.title() && !row.figures.is_empty()
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let rank = |row: &Row| if work.is_latency() { median(&row.figures) } else { -median(&row.figures) };
        rows.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        top = panel(&mut body, top, work, &rows);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" width=\"{WIDTH}\" height=\"{top}\" role=\"img\" aria-label=\"Spool beside raw SQL and other queues\">\n<style>{STYLE}</style>\n{body}</svg>\n"
    )
}

/// Returns where the next panel begins.
fn panel(body: &mut String, top: f64, work: Work, rows: &[&Row]) -> f64 {
    let better = if work.is_latency() {
        "ms, median, on a logarithmic scale; shorter is better"
    } else {
        "tasks per second; longer is better"
    };
    let _ = writeln!(
        body,
        "<text class=\"title\" x=\"8\" y=\"{:.0}\">{} <tspan class=\"small\">({better})</tspan></text>",
        top + 16.0,
        work.title()
    );
    let longest = rows.iter().map(|row| range(&row.figures).1).fold(0.0, f64::max);
    // Latencies of one millisecond and of half a second stand in one panel.
    let length = |figure: f64| if work.is_latency() { figure.ln_1p() } else { figure };
    let scale = |figure: f64| length(figure) / length(longest) * LONGEST_BAR;
    let mut y = top + HEAD;
    for row in rows {
        let middle = median(&row.figures);
        let (low, high) = range(&row.figures);
        let class = match row.side.as_str() {
            RAW => "raw",
            SPOOL => "spool",
            _ => "peer",
        };
        let _ = writeln!(
            body,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect class=\"{class}\" x=\"{AXIS}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>",
            AXIS - 8.0,
            y + 12.5,
            row.side,
            scale(middle).max(1.0)
        );
        if row.figures.len() > 1 {
            let middle_y = y + BAR / 2.0;
            let _ = writeln!(
                body,
                "<line class=\"whisker\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle_y:.1}\" y2=\"{middle_y:.1}\"/>",
                AXIS + scale(low),
                AXIS + scale(high)
            );
        }
        let ratio = row.ratio.filter(|_| row.side != RAW).map(|ratio| format!(" ({ratio:.2} of raw SQL)"));
        let _ = writeln!(
            body,
            "<text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{}{}</text>",
            AXIS + scale(high).max(1.0) + 6.0,
            y + 12.0,
            number(middle),
            ratio.unwrap_or_default()
        );
        y += LINE;
    }
    y + GAP
}

fn number(figure: f64) -> String {
    if figure < 100.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(1_234_567.2), "1,234,567");
        assert_eq!(number(123.0), "123");
        assert_eq!(number(1.55), "1.6");
    }
}
