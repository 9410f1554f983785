//! The tables that people read.

use std::fmt::Write;

use crate::{
    figures::{median, range},
    report::{Report, Row, Section},
    roster::Side,
};

/// Everything that was measured, as Markdown.
pub(crate) fn all(report: &Report) -> String {
    let mut text = String::new();
    let sections = [
        (Section::Compare, "Side by side"),
        (Section::Load, "Latency under load"),
        (Section::Growth, "Growth (Spool)"),
        (Section::Idle, "Idle workers (Spool)"),
        (Section::Recovery, "Recovery"),
    ];
    for (section, title) in sections {
        let rows: Vec<&Row> = report.rows.iter().filter(|row| row.section == section).collect();
        if !rows.is_empty() {
            let _ = writeln!(text, "### {title}\n");
            table(&mut text, &rows);
            text.push('\n');
        }
    }
    let settings: Vec<String> =
        report.postgres.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let _ = writeln!(
        text,
        "Commit {}, {}; {} cores ({}), shared by server and clients; load average before the first run {}; {} rounds, in turns. Postgres: {}.",
        report.machine.commit,
        report.measured_at,
        report.machine.cores,
        report.machine.processor,
        report.machine.load_before,
        report.rounds,
        settings.join(", ")
    );
    text
}

fn table(text: &mut String, rows: &[&Row]) {
    text.push_str("| work | side | median (min to max) | of raw SQL | CPU s per 10,000 | peak MB | |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    // All that did one work, side by side, whatever order they were measured in.
    let mut works: Vec<&str> = Vec::new();
    for row in rows {
        if !works.contains(&row.work.as_str()) {
            works.push(&row.work);
        }
    }
    for work in works {
        for row in rows.iter().filter(|row| row.work == work) {
            line(text, row);
        }
    }
}

fn line(text: &mut String, row: &Row) {
    let digits = match median(&row.figures) {
        figure if figure >= 100.0 => 0,
        figure if figure >= 10.0 => 1,
        _ => 2,
    };
    let mut figures = match spread(&row.figures, digits) {
        Some(figures) => format!("{figures} {}", row.unit),
        None => "-".to_owned(),
    };
    if let Some(p99) = spread(&row.p99, 2) {
        let _ = write!(figures, "; p99 {p99} ms");
    }
    let ratio = row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    let cpu = spread(&row.cpu_per_10k, 2).unwrap_or_else(|| "-".to_owned());
    let peak = row.peak_mb.iter().copied().reduce(f64::max);
    let peak = peak.map_or_else(|| "-".to_owned(), |peak| format!("{peak:.0}"));
    let note = row.note.as_deref().unwrap_or_default().replace('|', "/");
    let _ = writeln!(text, "| {} | {} | {figures} | {ratio} | {cpu} | {peak} | {note} |", row.work, row.side);
}

fn spread(figures: &[f64], digits: usize) -> Option<String> {
    let (low, high) = range(figures);
    let middle = median(figures);
    match figures.len() {
        0 => None,
        1 => Some(format!("{middle:.digits$}")),
        _ => Some(format!("{middle:.digits$} ({low:.digits$} to {high:.digits$})")),
    }
}

/// What each side promises and with what it was measured.
pub(crate) fn promises(sides: &[Side]) -> String {
    let mut text = String::from(
        "| side | version | fenced | what is left of a done task | delivery | after a kill -9 | tuned |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for side in sides {
        let Side { name, version, fenced, history, delivery, rescue, tuned, .. } = side;
        let _ =
            writeln!(text, "| {name} | {version} | {fenced} | {history} | {delivery} | {rescue} | {tuned} |");
    }
    text
}
