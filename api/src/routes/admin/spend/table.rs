//! A report as CSV (RFC 4180), safe to open in a spreadsheet.

use spool_db::spend::{By, Line};
use spool_job::money::Micros;

/// Header and one line per row; amounts in micro-dollars, exact, and in dollars.
pub fn csv(by: By, lines: &[Line]) -> String {
    let mut text = format!(
        "{},name,settled_micros,settled_dollars,reserved_micros,reserved_dollars,purchases,beside_ledger_micros,beside_ledger_dollars\r\n",
        by.as_str()
    );
    for line in lines {
        let cells = [
            cell(line.key.as_deref().unwrap_or_default()),
            cell(line.name.as_deref().unwrap_or_default()),
            line.settled.0.to_string(),
            dollars(line.settled),
            line.reserved.0.to_string(),
            dollars(line.reserved),
            line.purchases.to_string(),
            line.beside_ledger.0.to_string(),
            dollars(line.beside_ledger),
        ];
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// Exact: six decimals, never by way of a float.
fn dollars(micros: Micros) -> String {
    format!("{}.{:06}", micros.0 / 1_000_000, micros.0 % 1_000_000)
}

/// Quoted where it must be. A spreadsheet takes a text that begins like a formula for one: it gets a quote before it.
fn cell(text: &str) -> String {
    let text =
        if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_no_formulas() {
        for (text, wanted) in [
            ("Lodge", "Lodge"),
            ("Lodge, the", "\"Lodge, the\""),
            ("the \"Lodge\"", "\"the \"\"Lodge\"\"\""),
            ("=1+1", "'=1+1"),
            ("@x,y", "\"'@x,y\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), wanted);
        }
    }

    #[test]
    fn amounts_are_exact() {
        let line = Line {
            key: Some("google/veo-3.1".into()),
            name: None,
            settled: Micros(150_000_001),
            reserved: Micros(0),
            purchases: 3,
            beside_ledger: Micros(400_000),
        };
        let text = csv(By::Model, &[line]);
        assert_eq!(
            text.lines().nth(1),
            Some("google/veo-3.1,,150000001,150.000001,0,0.000000,3,400000,0.400000")
        );
    }
}
