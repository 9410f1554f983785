//! States over time, drawn: a band for each series, red while it is not 0, with its name on it.

use crate::answers::Series;
use crate::draw::FRAME;
use crate::number::quoted;
use std::fmt::Write as _;

const GOOD: u32 = 0x0037_872d;
const BAD: u32 = 0x00f2_495c;
/// Half of the height of a band, of the distance between two.
const HALF: f64 = 0.38;
/// A last moment has a width, too.
const LEAST_S: f64 = 1.0;

/// One stretch of one state.
#[derive(Debug, PartialEq)]
struct Stretch {
    from: f64,
    to: f64,
    bad: bool,
}

/// Those that were ever bad come first; at most so many are drawn.
pub(crate) fn draw(text: &mut String, title: &str, series: &[Series], most: usize) {
    let mut shown: Vec<(&str, Vec<Stretch>)> = series
        .iter()
        .filter(|one| !one.points.is_empty())
        .map(|one| (one.name.as_str(), stretches(one)))
        .collect();
    shown.sort_by_key(|(_, stretches)| !stretches.iter().any(|stretch| stretch.bad));
    shown.truncate(most);
    // Writing to a string cannot fail.
    writeln!(
        text,
        "set title {} textcolor rgb '#ffffff' font ',10' offset 0,-0.6\nunset ytics",
        quoted(title)
    )
    .ok();
    // The first at the top, and never so few that a band fills the panel.
    writeln!(text, "set yrange [{}.5:-0.5]", shown.len().max(4) - 1).ok();
    text.push_str("$bands << END\n");
    for (row, (_, stretches)) in shown.iter().enumerate() {
        let row = row as f64;
        for Stretch { from, to, bad } in stretches {
            let colour = if *bad { BAD } else { GOOD };
            writeln!(text, "{from:.0} {row} {from:.0} {to:.0} {:.2} {:.2} {colour}", row - HALF, row + HALF)
                .ok();
        }
    }
    text.push_str("END\n");
    for (row, (name, _)) in shown.iter().enumerate() {
        let (label, name) = (row + 1, quoted(name));
        writeln!(
            text,
            "set label {label} {name} at graph 0.01, first {row} left front textcolor rgb '#ffffff' font ',9'"
        )
        .ok();
    }
    text.push_str(
        "plot $bands using 1:2:3:4:5:6:7 with boxxyerror fs solid noborder lc rgb variable notitle\n",
    );
    writeln!(text, "unset label\nset ytics autofreq\n{FRAME}\nunset title").ok();
}

/// Points become stretches up to the next point; where none comes in time, nothing is known. Equal neighbours are one.
fn stretches(series: &Series) -> Vec<Stretch> {
    let gaps = series.points.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let step = gaps.min_by(f64::total_cmp).unwrap_or(LEAST_S);
    let mut all: Vec<Stretch> = Vec::new();
    for (at, value) in &series.points {
        let (bad, to) = (*value != 0.0, at + step);
        match all.last_mut().filter(|last| last.bad == bad && last.to >= *at) {
            Some(last) => last.to = to,
            None => all.push(Stretch { from: *at, to, bad }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_are_one_stretch_and_gaps_stay() {
        let points = vec![(0.0, 0.0), (5.0, 1.0), (10.0, 2.0), (30.0, 1.0)];
        let series = Series { name: "x".to_owned(), points };
        let wanted = [(0.0, 5.0, false), (5.0, 15.0, true), (30.0, 35.0, true)];
        assert_eq!(stretches(&series), wanted.map(|(from, to, bad)| Stretch { from, to, bad }));
    }

    #[test]
    fn what_was_bad_is_at_the_top() {
        let of = |name: &str, value| Series { name: name.to_owned(), points: vec![(0.0, value)] };
        let mut text = String::new();
        draw(&mut text, "it's", &[of("good", 0.0), of("bad", 1.0)], 8);
        assert!(
            text.contains("set title 'it''s'") && text.contains("set label 1 'bad' at graph 0.01, first 0"),
            "{text}"
        );
    }
}
