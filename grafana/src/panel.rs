//! What a panel is, whatever draws it: a title, what good looks like, queries and their unit.

/// How it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Draw {
    /// A line for each series.
    Lines,
    /// Areas on top of each other: what adds up to a whole.
    Stacked,
    /// The last value, large.
    Stat,
    /// The last value of each series as a bar.
    Bars,
    /// The last values as a table.
    Table,
    /// States over time.
    States,
    /// Words, in Markdown.
    Text,
}

impl Draw {
    /// Grafana's name of the panel.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Lines | Self::Stacked => "timeseries",
            Self::Stat => "stat",
            Self::Bars => "bargauge",
            Self::Table => "table",
            Self::States => "state-timeline",
            Self::Text => "text",
        }
    }
}

/// What the values count in, by Grafana's names.
pub(crate) mod unit {
    pub(crate) const COUNT: &str = "short";
    pub(crate) const SHARE: &str = "percentunit";
    pub(crate) const SECONDS: &str = "s";
    pub(crate) const BYTES: &str = "bytes";
    pub(crate) const BYTES_PER_SECOND: &str = "Bps";
    pub(crate) const PER_MINUTE: &str = "cpm";
    pub(crate) const PER_SECOND: &str = "reqps";
    pub(crate) const DOLLARS: &str = "currencyUSD";
    pub(crate) const TIMES: &str = "x";
    pub(crate) const YES_NO: &str = "bool";
    pub(crate) const NONE: &str = "none";
}

/// Where a query is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Prometheus,
    Postgres,
}

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) source: Source,
    /// PromQL or SQL, with Grafana's variables.
    pub(crate) text: String,
    /// What a series of the answer is called.
    pub(crate) legend: &'static str,
}

/// From here on a value is bad, or, falling, from here down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bad {
    Above(f64),
    Below(f64),
}

/// A panel.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) draw: Draw,
    pub(crate) unit: &'static str,
    /// What it shows and what good looks like.
    pub(crate) meaning: &'static str,
    pub(crate) queries: Vec<Query>,
    pub(crate) bad: Option<Bad>,
    /// Page of docs/runbooks, without its ending.
    pub(crate) runbook: Option<&'static str>,
    /// Of 24 columns.
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// Panels under one heading.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) panels: Vec<Panel>,
}

/// A value that a reader chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variable {
    /// Any of the values that a label of a metric has.
    Label { name: &'static str, metric: &'static str },
    /// What the reader types.
    Text { name: &'static str, label: &'static str },
}

impl Variable {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Label { name, .. } | Self::Text { name, .. } => name,
        }
    }
}

/// A dashboard.
#[derive(Debug, Clone)]
pub(crate) struct Dashboard {
    pub(crate) uid: &'static str,
    pub(crate) title: &'static str,
    /// For whom it is, and for what.
    pub(crate) meaning: &'static str,
    pub(crate) variables: Vec<Variable>,
    pub(crate) rows: Vec<Row>,
}

impl Dashboard {
    pub(crate) fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }

    pub(crate) fn uses(&self, source: Source) -> bool {
        self.panels().flat_map(|panel| &panel.queries).any(|query| query.source == source)
    }
}

fn panel(
    draw: Draw,
    title: &'static str,
    unit: &'static str,
    meaning: &'static str,
    size: (u32, u32),
) -> Panel {
    let (width, height) = size;
    Panel { title, draw, unit, meaning, queries: Vec::new(), bad: None, runbook: None, width, height }
}

pub(crate) fn lines(title: &'static str, unit: &'static str, meaning: &'static str) -> Panel {
    panel(Draw::Lines, title, unit, meaning, (8, 8))
}

pub(crate) fn stacked(title: &'static str, unit: &'static str, meaning: &'static str) -> Panel {
    panel(Draw::Stacked, title, unit, meaning, (8, 8))
}

pub(crate) fn stat(title: &'static str, unit: &'static str, meaning: &'static str) -> Panel {
    panel(Draw::Stat, title, unit, meaning, (4, 4))
}

pub(crate) fn bars(title: &'static str, unit: &'static str, meaning: &'static str) -> Panel {
    panel(Draw::Bars, title, unit, meaning, (8, 8))
}

pub(crate) fn states(title: &'static str, meaning: &'static str) -> Panel {
    panel(Draw::States, title, unit::YES_NO, meaning, (8, 8))
}

pub(crate) fn table(title: &'static str, meaning: &'static str) -> Panel {
    panel(Draw::Table, title, unit::NONE, meaning, (24, 8))
}

/// Words in Markdown, with Grafana's variables.
pub(crate) fn text(title: &'static str, words: &'static str) -> Panel {
    panel(Draw::Text, title, unit::NONE, words, (24, 5))
}

impl Panel {
    /// Asks Prometheus, too; `legend` names a series, with labels in double braces.
    pub(crate) fn of(mut self, text: impl Into<String>, legend: &'static str) -> Self {
        self.queries.push(Query { source: Source::Prometheus, text: text.into(), legend });
        self
    }

    /// Asks Postgres.
    pub(crate) fn sql(mut self, text: &'static str) -> Self {
        self.queries.push(Query { source: Source::Postgres, text: text.to_owned(), legend: "" });
        self
    }

    /// The 50th, 95th and 99th of a hundred observations of a histogram, by these labels.
    pub(crate) fn quantiles(
        self,
        histogram: &str,
        selector: &str,
        by: &'static str,
        legends: [&'static str; 3],
    ) -> Self {
        let labels = if by.is_empty() { "le".to_owned() } else { format!("{by}, le") };
        [0.5, 0.95, 0.99].into_iter().zip(legends).filter(|(_, legend)| !legend.is_empty()).fold(
            self,
            |panel, (share, legend)| {
                let buckets = format!("{histogram}_bucket{selector}[$__rate_interval]");
                panel.of(format!("histogram_quantile({share}, sum by ({labels}) (rate({buckets})))"), legend)
            },
        )
    }

    pub(crate) fn bad(mut self, bad: Bad) -> Self {
        self.bad = Some(bad);
        self
    }

    pub(crate) fn runbook(mut self, page: &'static str) -> Self {
        self.runbook = Some(page);
        self
    }

    pub(crate) fn wide(mut self, width: u32) -> Self {
        self.width = width;
        self
    }
}
