//! Answers to questions: series of Prometheus, rows of Postgres.

use serde_json::Value;

/// A series: its name, and values over time.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Series {
    pub(crate) fn last(&self) -> Option<f64> {
        self.points.last().map(|(_, value)| *value)
    }
}

/// A text of a question.
pub(crate) fn word<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// A number of a question.
pub(crate) fn size(value: &Value, member: &str) -> u32 {
    value[member].as_u64().and_then(|size| u32::try_from(size).ok()).unwrap_or(8)
}

/// What Prometheus answered to a range query, named as the legend says.
pub(crate) fn series(question: &Value) -> Vec<Series> {
    let legend = word(question, "legend");
    let results = question["answer"].as_array().into_iter().flatten();
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    results
        .filter(|result| result["values"].is_array())
        .map(|result| {
            let pairs = result["values"].as_array().into_iter().flatten();
            let points = pairs.filter_map(|pair| {
                Some((pair[0].as_f64()?, number(&pair[1]).filter(|value| value.is_finite())?))
            });
            Series { name: named(legend, &result["metric"]), points: points.collect() }
        })
        .collect()
}

fn named(legend: &str, labels: &Value) -> String {
    let mut name = legend.to_owned();
    for (label, value) in labels.as_object().into_iter().flatten() {
        name = name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default());
    }
    // A label that is empty is not in the answer.
    while let Some((before, (_, after))) =
        name.split_once("{{").and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
    {
        name = format!("{before}{after}");
    }
    name.trim_end().to_owned()
}

/// The rows of a table: labels of the series that are there at this last moment, or columns of rows.
pub(crate) fn table(questions: &[&Value], now: f64) -> Vec<String> {
    let rows = questions.iter().flat_map(|question| question["answer"].as_array().into_iter().flatten());
    // A range has those, too, that are over by now.
    let is_over = |row: &Value| {
        let last =
            row["values"].as_array().and_then(|values| values.last()).and_then(|pair| pair[0].as_f64());
        last.is_some_and(|last| last < now)
    };
    let rows = rows.filter(|row| !is_over(row));
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let lines: Vec<String> = rows
        .map(|row| {
            let columns = if row["metric"].is_object() { &row["metric"] } else { row };
            let cells = columns
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, value)| *name != "__name__" && !value.is_null());
            cells.map(|(name, value)| format!("{name}={}", shown(value))).collect::<Vec<_>>().join("  ")
        })
        .collect();
    if lines.is_empty() { vec!["nothing".to_owned()] } else { lines }
}
