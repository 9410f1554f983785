//! A dashboard as Grafana reads it (schema of Grafana 10 and later). Everything that all panels have in common is here, so that they
//! stay alike.

use crate::panel::{Bad, Dashboard, Draw, Panel, Query, Source, Variable};
use serde_json::{Value, json};

/// Columns of a dashboard.
const COLUMNS: u32 = 24;
/// Where docs/runbooks can be read: a box at the top of each dashboard, since only you know where you serve them.
const RUNBOOKS: &str = "https://example.com/spool/docs/runbooks";
const SCHEMA: u32 = 39;

/// The whole document.
pub(crate) fn document(board: &Dashboard) -> Value {
    json!({
        "uid": board.uid,
        "title": board.title,
        "description": board.meaning,
        "tags": ["spool"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": false,
        "graphTooltip": 1,
        "timezone": "",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "fiscalYearStartMonth": 0,
        "links": links(board),
        "annotations": {"list": annotations()},
        "templating": {"list": variables(board)},
        "panels": panels(board),
    })
}

fn links(board: &Dashboard) -> Vec<Value> {
    let mut links = vec![json!({
        "type": "dashboards", "title": "Spool", "tags": ["spool"], "asDropdown": true, "keepTime": true, "includeVars": false,
        "icon": "external link", "targetBlank": false, "tooltip": "", "url": "",
    })];
    if board.uses(Source::Postgres) {
        // Spans of a job bear its number, in whichever process they were made.
        let panes = "%7B%22t%22:%7B%22datasource%22:%22${traces}%22,%22queries%22:%5B%7B%22refId%22:%22A%22,%22queryType%22:%22traceql%22,\
                     %22query%22:%22%7B%20span.job_id%20%3D%20${job}%20%7D%22%7D%5D,%22range%22:%7B%22from%22:%22now-7d%22,%22to%22:%22now%22%7D%7D%7D";
        links.push(json!({
            "type": "link", "title": "Trace", "tags": [], "asDropdown": false, "keepTime": false, "includeVars": false,
            "icon": "bolt", "targetBlank": true, "tooltip": "Spans of this job", "url": format!("/explore?schemaVersion=1&panes={panes}"),
        }));
    }
    links
}

/// What happened, on every graph: pages, and processes that began.
fn annotations() -> Vec<Value> {
    let of = |name: &str, colour: &str, expr: &str, title: &str| {
        json!({
            "name": name, "enable": true, "hide": false, "iconColor": colour, "datasource": datasource(Source::Prometheus),
            "expr": expr, "step": "30s", "titleFormat": title, "textFormat": "", "tagKeys": "", "useValueForTime": false,
        })
    };
    vec![
        of("Pages", "red", "ALERTS{alertstate=\"firing\",severity=\"page\"}", "{{alertname}}"),
        of(
            "Starts",
            "blue",
            "changes(process_start_time_seconds{job=~\"spool.*\"}[2m]) > 0",
            "{{instance}} started",
        ),
    ]
}

fn variables(board: &Dashboard) -> Vec<Value> {
    let of_kind = |name: &str, label: &str, plugin: &str| {
        json!({"type": "datasource", "name": name, "label": label, "query": plugin, "hide": 0, "refresh": 1, "regex": "", "multi": false,
               "includeAll": false, "options": []})
    };
    let words = |name: &str, label: &str, value: &str| {
        let choice = json!({"text": value, "value": value, "selected": true});
        json!({"type": "textbox", "name": name, "label": label, "query": value, "hide": 0, "current": choice, "options": [choice]})
    };
    let mut list = vec![of_kind("datasource", "Prometheus", "prometheus")];
    if board.uses(Source::Postgres) {
        list.push(of_kind("database", "Postgres", "grafana-postgresql-datasource"));
        list.push(of_kind("traces", "Traces", "tempo"));
    }
    for variable in &board.variables {
        list.push(match variable {
            Variable::Label { name, metric } => {
                let values = format!("label_values({metric}, {name})");
                json!({"type": "query", "name": name, "label": name, "datasource": datasource(Source::Prometheus), "definition": values,
                       "query": {"query": values, "refId": name, "qryType": 1}, "refresh": 2, "sort": 1, "regex": "", "hide": 0, "multi": true,
                       "includeAll": true, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"], "selected": true}, "options": []})
            }
            Variable::Text { name, label } => words(name, label, "1"),
        });
    }
    list.push(words("runbooks", "Runbooks", RUNBOOKS));
    list
}

fn datasource(source: Source) -> Value {
    match source {
        Source::Prometheus => json!({"type": "prometheus", "uid": "${datasource}"}),
        Source::Postgres => json!({"type": "grafana-postgresql-datasource", "uid": "${database}"}),
    }
}

/// From left to right and from top to bottom, each row under its heading.
fn panels(board: &Dashboard) -> Vec<Value> {
    let (mut all, mut id, mut y) = (Vec::new(), 0, 0);
    for row in &board.rows {
        id += 1;
        all.push(json!({"id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
                        "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}}));
        y += 1;
        let (mut x, mut line) = (0, 0);
        for panel in &row.panels {
            if x + panel.width > COLUMNS {
                (x, y, line) = (0, y + line, 0);
            }
            id += 1;
            all.push(one(panel, id, (x, y)));
            x += panel.width;
            line = line.max(panel.height);
        }
        y += line;
    }
    all
}

fn one(panel: &Panel, id: u32, (x, y): (u32, u32)) -> Value {
    let source = panel.queries.first().map_or(Source::Prometheus, |query| query.source);
    let links: Vec<Value> = panel
        .runbook
        .iter()
        .map(|page| json!({"title": "Runbook", "url": format!("${{runbooks}}/{page}.md"), "targetBlank": true}))
        .collect();
    let mut value = json!({
        "id": id,
        "type": panel.draw.kind(),
        "title": panel.title,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "links": links,
        "options": options(panel),
    });
    if panel.draw != Draw::Text {
        value["description"] = json!(panel.meaning);
        value["datasource"] = datasource(source);
        value["targets"] =
            panel.queries.iter().enumerate().map(|(index, query)| target(panel, query, index)).collect();
        value["fieldConfig"] = json!({"defaults": field(panel), "overrides": []});
    }
    value
}

fn target(panel: &Panel, query: &Query, index: usize) -> Value {
    let letter = char::from(b'A' + u8::try_from(index).unwrap_or(25)).to_string();
    match query.source {
        Source::Prometheus => {
            let is_table = panel.draw == Draw::Table;
            let now = matches!(panel.draw, Draw::Table | Draw::Bars);
            json!({"refId": letter, "datasource": datasource(query.source), "editorMode": "code", "expr": query.text,
                   "legendFormat": if query.legend.is_empty() { "__auto" } else { query.legend },
                   "range": !now, "instant": now, "format": if is_table { "table" } else { "time_series" }})
        }
        Source::Postgres => {
            json!({"refId": letter, "datasource": datasource(query.source), "editorMode": "code", "rawQuery": true,
                                   "rawSql": query.text, "format": "table"})
        }
    }
}

fn options(panel: &Panel) -> Value {
    let last = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
    match panel.draw {
        Draw::Lines | Draw::Stacked => json!({
            "legend": {"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }),
        Draw::Stat => {
            json!({"reduceOptions": last, "colorMode": "value", "graphMode": "area", "justifyMode": "auto",
                             "orientation": "auto", "textMode": "auto", "wideLayout": true})
        }
        Draw::Bars => {
            json!({"reduceOptions": last, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": true,
                             "valueMode": "color", "minVizWidth": 8, "minVizHeight": 16, "namePlacement": "auto", "sizing": "auto", "maxVizHeight": 300})
        }
        Draw::Table => {
            json!({"showHeader": true, "cellHeight": "sm"})
        }
        Draw::States => {
            json!({"mergeValues": true, "showValue": "never", "alignValue": "center", "rowHeight": 0.8,
                               "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
                               "tooltip": {"mode": "single", "sort": "none"}})
        }
        Draw::Text => {
            json!({"mode": "markdown", "content": panel.meaning, "code": {"language": "plaintext", "showLineNumbers": false, "showMiniMap": false}})
        }
    }
}

fn field(panel: &Panel) -> Value {
    let steps = match panel.bad {
        None => json!([{"color": "green", "value": null}]),
        Some(Bad::Above(limit)) => {
            json!([{"color": "green", "value": null}, {"color": "red", "value": limit + f64::EPSILON}])
        }
        Some(Bad::Below(limit)) => {
            json!([{"color": "red", "value": null}, {"color": "green", "value": limit}])
        }
    };
    let mut defaults = json!({
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": if matches!(panel.draw, Draw::Stat | Draw::Bars | Draw::States) { "thresholds" } else { "palette-classic" }},
        "mappings": [],
    });
    match panel.draw {
        Draw::Lines | Draw::Stacked => {
            let is_stacked = panel.draw == Draw::Stacked;
            if !panel.bad.is_some_and(|bad| matches!(bad, Bad::Below(_))) {
                defaults["min"] = json!(0);
            }
            defaults["custom"] = json!({
                "drawStyle": "line", "lineWidth": 1, "fillOpacity": if is_stacked { 40 } else { 5 }, "showPoints": "never",
                "lineInterpolation": "linear", "spanNulls": 120_000, "axisPlacement": "auto",
                "stacking": {"mode": if is_stacked { "normal" } else { "none" }, "group": "A"},
                "thresholdsStyle": {"mode": if panel.bad.is_some() { "dashed" } else { "off" }},
            });
        }
        Draw::States => {
            // All states here are good at 0.
            defaults["custom"] = json!({"fillOpacity": 70, "lineWidth": 0});
            defaults["mappings"] = json!([{"type": "value", "options": {
                "0": {"text": "no", "color": "green", "index": 0}, "1": {"text": "yes", "color": "orange", "index": 1}}}]);
        }
        Draw::Stat | Draw::Bars | Draw::Table | Draw::Text => {}
    }
    defaults
}
