//! What watching needs and this program does not bring: the folder `grafana` of the repository, and other people's programs.

use std::path::PathBuf;

/// The settings, rules and dashboards of the repository, from its root.
const SETTINGS: &str = "grafana";

/// Something that is needed is missing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourcesError {
    #[error("no folder grafana/alerts here or above this program: run it at the root of the repository")]
    Settings,
    #[error("{0} is not installed: run `scripts/bootstrap.sh observe`, or install it and put it on PATH")]
    Program(&'static str),
}

/// Where everything is.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// The folder `grafana` of the repository.
    pub(crate) settings: PathBuf,
    pub(crate) prometheus: PathBuf,
    pub(crate) alertmanager: PathBuf,
    pub(crate) grafana: Option<Grafana>,
    /// Draws pictures.
    pub(crate) gnuplot: Option<PathBuf>,
}

/// Grafana as it is installed.
#[derive(Debug, Clone)]
pub(crate) struct Grafana {
    pub(crate) program: PathBuf,
    /// Where its own files are.
    pub(crate) home: PathBuf,
}

impl Sources {
    /// Finds them all, so that a missing one is told before anything starts.
    pub(crate) fn find() -> Result<Self, SourcesError> {
        let prometheus = on_path(&["prometheus"]).ok_or(SourcesError::Program("prometheus"))?;
        // Debian has it under the longer name.
        let alertmanager = on_path(&["alertmanager", "prometheus-alertmanager"]);
        let alertmanager = alertmanager.ok_or(SourcesError::Program("alertmanager"))?;
        Ok(Self {
            settings: settings()?,
            prometheus,
            alertmanager,
            grafana: grafana(),
            gnuplot: on_path(&["gnuplot"]),
        })
    }
}

/// Below the working folder, or above the build that this binary is from.
fn settings() -> Result<PathBuf, SourcesError> {
    let here = std::env::current_dir().unwrap_or_default();
    let binary = std::env::current_exe().unwrap_or_default();
    let mut folders =
        std::iter::once(here.as_path()).chain(binary.ancestors()).map(|folder| folder.join(SETTINGS));
    folders.find(|folder| folder.join("alerts").is_dir()).ok_or(SourcesError::Settings)
}

fn grafana() -> Option<Grafana> {
    let program = on_path(&["grafana"])?;
    let homes = [
        "/usr/share/grafana",
        "/opt/homebrew/opt/grafana/share/grafana",
        "/usr/local/opt/grafana/share/grafana",
    ];
    let home = homes.into_iter().map(PathBuf::from).find(|home| home.join("public").is_dir())?;
    Some(Grafana { program, home })
}

/// The first of these programs that is on PATH.
fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let files = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    files.into_iter().find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_their_first_name_first() {
        assert_eq!(on_path(&["no-such-program-at-all"]), None);
        let shell = on_path(&["no-such-program-at-all", "sh"]).unwrap();
        assert!(shell.ends_with("sh"));
    }

    #[test]
    fn the_settings_of_the_repository_are_found() {
        assert!(settings().unwrap().join("prometheus.yaml").is_file());
    }
}
