//! `spool-dashboards`: `write` writes grafana/dashboards and the vocabulary in docs/observability.md, `questions` prints every query
//! of every panel as JSON, `draw ANSWERS FOLDER` makes scripts for gnuplot from their answers. Run it at the root of the repository. A
//! test fails when what is written is not what this says.

mod answers;
mod bands;
mod boards;
mod draw;
mod grafana;
mod number;
mod panel;
mod questions;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Where the vocabulary stands.
const PAGE: &str = "docs/observability.md";

type Ending = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let done = match asked.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["write"] => write(Path::new(".")),
        ["questions"] => questions(),
        ["draw", answers, folder] => draw(answers, Path::new(folder)),
        _ => Err("usage: spool-dashboards write | questions | draw ANSWERS FOLDER".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "spool-dashboards: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Every file that is written, from the root of the repository, with its text.
fn files(root: &Path) -> Result<Vec<(String, String)>, Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    for board in boards::all() {
        let name = board.uid.trim_start_matches("spool-");
        let text = serde_json::to_string_pretty(&grafana::document(&board))?;
        files.push((format!("grafana/dashboards/{name}.json"), text + "\n"));
    }
    let page = std::fs::read_to_string(root.join(PAGE))
        .map_err(|error| format!("could not read {PAGE}: {error}"))?;
    let page =
        vocabulary::renewed(&page).ok_or_else(|| format!("{PAGE} lacks the marks of the vocabulary"))?;
    files.push((PAGE.to_owned(), page));
    Ok(files)
}

fn write(root: &Path) -> Ending {
    std::fs::create_dir_all(root.join("grafana/dashboards"))?;
    for (path, text) in files(root)? {
        std::fs::write(root.join(&path), text).map_err(|error| format!("could not write {path}: {error}"))?;
    }
    Ok(())
}

fn questions() -> Ending {
    let list = questions::list(&boards::all());
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&list)?)?;
    Ok(())
}

/// `answers`: a file with the questions, each with its `answer`.
fn draw(answers: &str, folder: &Path) -> Ending {
    let text =
        std::fs::read_to_string(answers).map_err(|error| format!("could not read {answers}: {error}"))?;
    let answers: Vec<serde_json::Value> = serde_json::from_str(&text)?;
    std::fs::create_dir_all(folder)?;
    for (name, script) in draw::scripts(&answers) {
        std::fs::write(folder.join(format!("{name}.gp")), script)?;
    }
    Ok(())
}
