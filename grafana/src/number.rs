//! Numbers and words as people read them.

/// A value with its unit, by Grafana's names.
pub(crate) fn human(unit: &str, value: f64) -> String {
    match unit {
        "percentunit" => format!("{:.1} %", value * 100.0),
        "currencyUSD" => format!("${value:.2}"),
        "s" => seconds(value),
        "bytes" => format!("{}B", scaled(value, 1024.0)),
        "Bps" => format!("{}B/s", scaled(value, 1024.0)),
        "cpm" => format!("{}/min", scaled(value, 1000.0)),
        "reqps" => format!("{}/s", scaled(value, 1000.0)),
        "x" => format!("{value:.2}x"),
        "bool" => if value == 0.0 { "no" } else { "yes" }.to_owned(),
        _ => scaled(value, 1000.0),
    }
}

/// Words for gnuplot: its single quotes take everything as it is, but for themselves.
pub(crate) fn quoted(words: &str) -> String {
    format!("'{}'", words.replace('\'', "''").replace('\n', " "))
}

fn seconds(value: f64) -> String {
    match value.abs() {
        size if size >= 3600.0 => format!("{:.1} h", value / 3600.0),
        size if size >= 60.0 => format!("{:.1} min", value / 60.0),
        size if size >= 1.0 || size == 0.0 => format!("{value:.1} s"),
        _ => format!("{:.1} ms", value * 1000.0),
    }
}

fn scaled(value: f64, step: f64) -> String {
    let mut rest = value;
    for unit in ["", " k", " M", " G"] {
        if rest.abs() < step {
            let is_whole = rest.fract().abs() < 0.005;
            return if is_whole { format!("{rest:.0}{unit}") } else { format!("{rest:.1}{unit}") };
        }
        rest /= step;
    }
    format!("{rest:.1} T")
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn numbers_are_short() {
        for (unit, value, wanted) in [
            ("short", 0.0, "0"),
            ("short", 12_345.0, "12.3 k"),
            ("percentunit", 0.9512, "95.1 %"),
            ("s", 0.0042, "4.2 ms"),
            ("s", 300.0, "5.0 min"),
            ("s", 0.0, "0.0 s"),
            ("bytes", 1_073_741_824.0, "1 GB"),
            ("currencyUSD", 1.5, "$1.50"),
            ("bool", 1.0, "yes"),
        ] {
            assert_eq!(human(unit, value), wanted, "{unit} {value}");
        }
    }
}
