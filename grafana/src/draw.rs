//! Draws dashboards without Grafana: from the answers to their questions to a script for gnuplot, which makes one picture of each. For
//! people who want to look at what operators saw, and for machines that have no Grafana.

use crate::answers::{Series, series, size, table, word};
use crate::bands;
use crate::number::{human, quoted};
use serde_json::Value;
use std::fmt::Write as _;

/// Pixels of one of 24 columns, and of one unit of height.
const CELL: (u32, u32) = (80, 42);
const COLUMNS: u32 = 24;
/// Series of one panel that are drawn, and lines of a table.
const MOST_SERIES: usize = 8;
const MOST_LINES: usize = 10;
/// Axes and their numbers, set again after what has none.
pub(crate) const FRAME: &str =
    "set border 3 lc rgb '#606060'; set tics textcolor rgb '#c0c0c0' font ',8' nomirror; set xdata time";
const COLOURS: [&str; 8] =
    ["#5794f2", "#73bf69", "#ff9830", "#b877d9", "#f2495c", "#37872d", "#fade2a", "#8ab8ff"];

/// Questions of one panel with their answers.
struct Drawn<'a> {
    questions: Vec<&'a Value>,
    width: u32,
    height: u32,
    x: u32,
    y: u32,
}

/// One script for each dashboard: its name and its text. `answers` are the objects of `questions`, each with what Prometheus answered
/// to a range query, or rows of Postgres, as `answer`.
pub(crate) fn scripts(answers: &[Value]) -> Vec<(String, String)> {
    let mut boards: Vec<(String, Vec<&Value>)> = Vec::new();
    for answer in answers {
        let name = word(answer, "dashboard").trim_start_matches("spool-").to_owned();
        match boards.last_mut().filter(|(last, _)| *last == name) {
            Some((_, questions)) => questions.push(answer),
            None => boards.push((name, vec![answer])),
        }
    }
    boards
        .into_iter()
        .map(|(name, questions)| {
            let script = script(&name, &questions);
            (name, script)
        })
        .collect()
}

/// Panels in the places that they have in Grafana, and the headings of their rows with the height at which they stand.
fn places<'a>(questions: &[&'a Value]) -> (Vec<Drawn<'a>>, Vec<(u32, &'a str)>, u32) {
    let (mut panels, mut headings): (Vec<Drawn<'a>>, Vec<(u32, &str)>) = (Vec::new(), Vec::new());
    let (mut x, mut y, mut line) = (0, 2, 0);
    for &question in questions {
        let (row, panel) = (word(question, "row"), word(question, "panel"));
        let is_same_row = headings.last().is_some_and(|(_, heading)| *heading == row);
        if is_same_row
            && let Some(last) = panels.last_mut().filter(|last| word(last.questions[0], "panel") == panel)
        {
            last.questions.push(question);
            continue;
        }
        let (width, height) = (size(question, "width"), size(question, "height"));
        if !is_same_row {
            y += line;
            headings.push((y, row));
            (x, y, line) = (0, y + 1, 0);
        } else if x + width > COLUMNS {
            (x, y, line) = (0, y + line, 0);
        }
        panels.push(Drawn { questions: vec![question], width, height, x, y });
        x += width;
        line = line.max(height);
    }
    (panels, headings, y + line)
}

fn script(name: &str, questions: &[&Value]) -> String {
    let (panels, headings, height) = places(questions);
    let (pixels_x, pixels_y) = (COLUMNS * CELL.0, height * CELL.1);
    let mut text = String::new();
    // Writing to a string cannot fail.
    write!(
        text,
        "set terminal pngcairo size {pixels_x},{pixels_y} background rgb '#181b1f' font 'DejaVu Sans,10' noenhanced\n\
         set output '{name}.png'\nset multiplot\n\
         {FRAME}\nset grid lc rgb '#303030'\n\
         set key below left horizontal textcolor rgb '#c0c0c0' font ',8' samplen 1 maxrows 3\n\
         set xdata time\nset timefmt '%s'\nset format x '%H:%M'\n"
    )
    .ok();
    let whole = span(questions);
    if let Some((begin, end)) = whole {
        // A handful of times on each axis, however narrow the panel.
        writeln!(
            text,
            "set xrange ['{begin:.0}':'{end:.0}']\nset xtics {:.0}",
            ((end - begin) / 4.0).max(1.0)
        )
        .ok();
    }
    heading(&mut text, height, 0, 2, &format!("Spool: {name}"), 16);
    for (y, words) in headings {
        heading(&mut text, height, y, 1, words, 12);
    }
    for panel in &panels {
        let place = format!(
            "set origin {:.5},{:.5}\nset size {:.5},{:.5}\n",
            f64::from(panel.x) / f64::from(COLUMNS),
            1.0 - f64::from(panel.y + panel.height) / f64::from(height),
            f64::from(panel.width) / f64::from(COLUMNS),
            f64::from(panel.height) / f64::from(height),
        );
        text.push_str(&place);
        draw(&mut text, panel, whole.map_or(0.0, |(_, end)| end));
    }
    text.push_str("unset multiplot\n");
    text
}

fn heading(text: &mut String, height: u32, y: u32, lines: u32, words: &str, size: u32) {
    let (at, tall) = (1.0 - f64::from(y + lines) / f64::from(height), f64::from(lines) / f64::from(height));
    writeln!(text, "set origin 0,{at:.5}\nset size 1,{tall:.5}").ok();
    let label = format!(
        "set label 1 {} at screen 0.005,{:.5} left textcolor rgb '#ffffff' font ',{size}'\n",
        quoted(words),
        at + tall / 2.0
    );
    text.push_str(&label);
    empty(text);
}

/// A plot of nothing, so that labels appear.
fn empty(text: &mut String) {
    text.push_str("unset border; unset tics; unset xdata; unset title; set lmargin 0; set rmargin 0; set tmargin 0; set bmargin 0\n");
    writeln!(text, "plot [0:1] [0:1] -1 notitle\nunset label\n{FRAME}").ok();
    text.push_str("unset lmargin; unset rmargin; unset tmargin; unset bmargin\n");
}

/// The first and the last moment of all answers.
fn span(questions: &[&Value]) -> Option<(f64, f64)> {
    let moments = questions.iter().flat_map(|question| series(question)).flat_map(|series| series.points);
    let moments: Vec<f64> = moments.map(|(at, _)| at).collect();
    let begin = moments.iter().copied().min_by(f64::total_cmp)?;
    let end = moments.iter().copied().max_by(f64::total_cmp)?;
    Some((begin, end.max(begin + 1.0)))
}

fn draw(text: &mut String, panel: &Drawn<'_>, now: f64) {
    let first = panel.questions[0];
    let (kind, unit) = (word(first, "draw"), word(first, "unit"));
    let series: Vec<Series> = panel.questions.iter().flat_map(|question| series(question)).collect();
    match kind {
        "stat" => big(text, panel, series.first().and_then(Series::last)),
        "bargauge" => {
            lines_of_words(
                text,
                panel,
                series
                    .iter()
                    .filter_map(|one| Some(format!("{}  {}", human(unit, one.last()?), one.name)))
                    .collect(),
            );
        }
        "table" => lines_of_words(text, panel, table(&panel.questions, now)),
        _ if series.iter().all(|one| one.points.is_empty()) => {
            lines_of_words(text, panel, vec!["no data".to_owned()]);
        }
        "state-timeline" => bands::draw(text, word(first, "panel"), &series, MOST_SERIES),
        _ => graph(text, panel, unit, word(first, "stacked") == "yes", &series),
    }
}

/// Whether a value is on the bad side of a panel's limit.
fn is_bad(question: &Value, value: f64) -> bool {
    question["above"].as_f64().is_some_and(|limit| value > limit)
        || question["below"].as_f64().is_some_and(|limit| value < limit)
}

fn big(text: &mut String, panel: &Drawn<'_>, value: Option<f64>) {
    let first = panel.questions[0];
    let title = word(first, "panel");
    let words = value.map_or_else(|| "no data".to_owned(), |value| human(word(first, "unit"), value));
    let colour = if value.is_none_or(|value| is_bad(first, value)) { "#f2495c" } else { "#73bf69" };
    writeln!(
        text,
        "set label 1 {} at graph 0.5,0.82 center textcolor rgb '#c0c0c0' font ',9'",
        quoted(title)
    )
    .ok();
    writeln!(
        text,
        "set label 2 {} at graph 0.5,0.4 center textcolor rgb '{colour}' font ',22'",
        quoted(&words)
    )
    .ok();
    empty(text);
}

fn lines_of_words(text: &mut String, panel: &Drawn<'_>, lines: Vec<String>) {
    let title = word(panel.questions[0], "panel");
    writeln!(
        text,
        "set label 1 {} at graph 0.02,0.93 left textcolor rgb '#ffffff' font ',10'",
        quoted(title)
    )
    .ok();
    let widest = panel.width as usize * 12;
    for (index, line) in lines.iter().take(MOST_LINES).enumerate() {
        let short: String = line.chars().take(widest).collect();
        let at = 0.83 - index as f64 * 0.085;
        writeln!(
            text,
            "set label {} {} at graph 0.02,{at:.3} left textcolor rgb '#c0c0c0' font 'DejaVu Sans Mono,8'",
            index + 2,
            quoted(&short)
        )
        .ok();
    }
    empty(text);
}

fn graph(text: &mut String, panel: &Drawn<'_>, unit: &str, is_stacked: bool, series: &[Series]) {
    let title = word(panel.questions[0], "panel");
    writeln!(text, "set title {} textcolor rgb '#ffffff' font ',10' offset 0,-0.6", quoted(title)).ok();
    let scale = if unit == "percentunit" { 100.0 } else { 1.0 };
    let format = match unit {
        "percentunit" => "%g %%",
        "currencyUSD" => "$%g",
        "bytes" | "Bps" => "%.0s%cB",
        "s" => "%.1s%cs",
        _ => "%.0s%c",
    };
    writeln!(text, "set format y '{format}'\nset yrange [0:*]").ok();
    let mut shown: Vec<(&str, Vec<(f64, f64)>)> = series
        .iter()
        .filter(|one| !one.points.is_empty())
        .map(|one| (one.name.as_str(), one.points.clone()))
        .collect();
    // Where there are too many, those that are nothing but zero are left out first.
    shown.sort_by_key(|(_, points)| points.iter().all(|(_, value)| *value == 0.0));
    shown.truncate(MOST_SERIES);
    if is_stacked {
        pile_up(&mut shown);
    }
    for (index, (_, points)) in shown.iter().enumerate() {
        writeln!(text, "$data{index} << END").ok();
        for (at, value) in points {
            writeln!(text, "{at:.0} {}", value * scale).ok();
        }
        text.push_str("END\n");
    }
    let way = if is_stacked { "filledcurves y1=0" } else { "lines lw 1.5" };
    // The highest pile first: each lower one is drawn over it.
    let mut order: Vec<usize> = (0..shown.len()).collect();
    if is_stacked {
        order.reverse();
    }
    let plots = order.into_iter().map(|index| {
        let colour = COLOURS[index % COLOURS.len()];
        format!("$data{index} using 1:2 with {way} lc rgb '{colour}' title {}", quoted(shown[index].0))
    });
    let first = panel.questions[0];
    let limit = first["above"]
        .as_f64()
        .or(first["below"].as_f64())
        .map(|limit| format!("{} with lines lw 1 dt 2 lc rgb '#f2495c' notitle", limit * scale));
    let all: Vec<String> = plots.chain(limit).collect();
    writeln!(text, "plot {}\nunset title", all.join(", \\\n     ")).ok();
}

/// Each series on top of those before it, at the moments that any of them has.
fn pile_up(series: &mut [(&str, Vec<(f64, f64)>)]) {
    let mut moments: Vec<f64> =
        series.iter().flat_map(|(_, points)| points.iter().map(|(at, _)| *at)).collect();
    moments.sort_by(f64::total_cmp);
    moments.dedup();
    let mut below = vec![0.0; moments.len()];
    for (_, points) in series {
        for (height, at) in below.iter_mut().zip(&moments) {
            *height += points
                .iter()
                .find(|(moment, _)| moment.total_cmp(at).is_eq())
                .map_or(0.0, |(_, value)| *value);
        }
        *points = moments.iter().copied().zip(below.iter().copied()).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn question(panel: &str, draw: &str, answer: &Value) -> Value {
        json!({"dashboard": "spool-x", "row": "R", "panel": panel, "draw": draw, "unit": "short", "legend": "{{kind}}", "stacked": "yes",
               "width": 12, "height": 8, "answer": answer})
    }

    #[test]
    fn every_kind_of_panel_is_in_its_place() {
        let values = json!([{"metric": {"kind": "it's"}, "values": [[60, "1"], [120, "NaN"], [180, "2"]]},
                            {"metric": {"kind": "b"}, "values": [[60, "3"]]}]);
        let answers = [
            question("one", "timeseries", &values),
            question("two", "stat", &values),
            question("three", "table", &json!([{"id": 7, "why": null}])),
            question("four", "timeseries", &json!([])),
        ];
        let scripts = scripts(&answers);
        assert_eq!(scripts.len(), 1);
        let (name, text) = &scripts[0];
        assert_eq!(name, "x");
        assert!(text.contains("set output 'x.png'") && text.contains("size 1920,798"), "{text}");
        assert!(text.contains("$data0 << END\n60 1\n180 2\nEND"), "{text}");
        assert!(text.contains("$data1 << END\n60 4\n180 2\nEND"), "the second lies on the first: {text}");
        assert!(
            text.contains("title 'it''s'") && text.contains("'id=7'") && text.contains("'no data'"),
            "{text}"
        );
        assert!(
            text.contains("set origin 0.50000,0.42105") && text.contains("set origin 0.00000,0.00000"),
            "{text}"
        );
    }
}
