//! Settings of older systems, by the names they had: read in place of ours where ours are not set, and named at start. Those that
//! mean nothing here are named, too, so that nobody waits for an effect.

use std::ffi::OsString;

/// An environment variable of an older system.
#[derive(Debug, Clone, Copy)]
pub struct Alias {
    /// Its name.
    pub old: &'static str,
    /// What becomes of it.
    pub meaning: Meaning,
}

/// What becomes of an older variable.
#[derive(Debug, Clone, Copy)]
pub enum Meaning {
    /// It sets this.
    Sets {
        /// Long name of the option, without dashes.
        flag: &'static str,
        /// Our name of the variable, which goes first.
        variable: &'static str,
        /// Turns the value; none: it means nothing.
        turn: fn(&str) -> Option<String>,
    },
    /// Nothing, and why.
    Nothing(&'static str),
}

/// A command line with what the older variables say, and a sentence about each of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The words, the program's name first.
    pub words: Vec<OsString>,
    /// Names, never values.
    pub notes: Vec<String>,
}

/// What API and workers have in common.
pub const SHARED: &[Alias] = &[
    sets("REPLICATE_API_KEY", "replicate-api-token", "REPLICATE_API_TOKEN", same),
    sets("SECRET_KEY_BASE", "signing-key", "SPOOL_SIGNING_KEY", same),
    sets("PHX_HOST", "public-base-url", "PUBLIC_BASE_URL", https),
    sets("POOL_SIZE", "db-pool", "SPOOL_DB_POOL", same),
    nothing(
        "DATABASE_PATH",
        "data of older systems comes in by `spool import`; the database is DATABASE_URL",
    ),
    nothing("REPLICATE_WEBHOOK_URL", "webhooks come to PUBLIC_BASE_URL"),
    nothing("XAI_API_KEY", "storyboards are planned here; no language model is asked"),
    nothing("REPLICATE_VEO3_MODEL", "a model is named by VIDEO_GENERATION_MODEL or by the request"),
    nothing("REPLICATE_HILUA_MODEL", "a model is named by VIDEO_GENERATION_MODEL or by the request"),
    nothing("REPLICATE_HAILUO_MODEL", "a model is named by VIDEO_GENERATION_MODEL or by the request"),
    nothing("AUDIO_MERGE_WITH_VIDEO", "music always lies under the video"),
    nothing("AUDIO_SYNC_MODE", "each stretch of music is cut to its scene"),
    nothing("AUDIO_SEGMENT_TTL", "stretches of music are kept"),
    nothing("PHX_SERVER", "the API always serves"),
    nothing("DNS_CLUSTER_QUERY", "processes meet in Postgres"),
    nothing("RELEASE_NAME", "`spool migrate` brings the database up to date"),
];

/// An alias whose value is taken.
pub const fn sets(
    old: &'static str,
    flag: &'static str,
    variable: &'static str,
    turn: fn(&str) -> Option<String>,
) -> Alias {
    Alias { old, meaning: Meaning::Sets { flag, variable, turn } }
}

const fn nothing(old: &'static str, why: &'static str) -> Alias {
    Alias { old, meaning: Meaning::Nothing(why) }
}

/// As it is.
pub fn same(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn https(host: &str) -> Option<String> {
    (!host.trim().is_empty()).then(|| format!("https://{}", host.trim()))
}

/// Adds to a command line what the older variables set. `read` is the environment; an empty value counts as none. What is set under
/// our name, or stands in the command line, goes first.
pub fn apply(words: Vec<OsString>, tables: &[&[Alias]], read: impl Fn(&str) -> Option<String>) -> Applied {
    let mut applied = Applied { words, notes: Vec::new() };
    for alias in tables.iter().copied().flatten() {
        let old = alias.old;
        let Some(value) = read(old).filter(|value| !value.is_empty()) else { continue };
        let note = match alias.meaning {
            Meaning::Nothing(why) => format!("{old} has no effect: {why}"),
            Meaning::Sets { flag, variable, .. } if read(variable).is_some() || has(&applied.words, flag) => {
                format!("{old} has no effect: {variable} is set")
            }
            Meaning::Sets { flag, variable, turn } => match turn(&value) {
                None => format!("{old} has no effect: its value sets nothing"),
                Some(value) => {
                    applied.words.push(format!("--{flag}={value}").into());
                    format!("{old} is taken for {variable}: please rename it")
                }
            },
        };
        applied.notes.push(note);
    }
    applied
}

/// Says each note once, at start.
pub fn name_them(notes: &[String]) {
    for note in notes {
        tracing::warn!("{note}");
    }
}

fn has(words: &[OsString], flag: &str) -> bool {
    let named = |word: &OsString| {
        let word = word.to_string_lossy();
        word.strip_prefix("--").is_some_and(|word| word.split('=').next() == Some(flag))
    };
    words.iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(words: &[&str], environment: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let read = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let applied = apply(words.iter().map(Into::into).collect(), &[SHARED], read);
        (applied.words.iter().map(|word| word.to_string_lossy().into_owned()).collect(), applied.notes)
    }

    #[test]
    fn older_names_count_where_ours_are_not_set() {
        let (words, notes) = with(&["p"], &[("REPLICATE_API_KEY", "r8_secret"), ("PHX_HOST", "a.example")]);
        assert_eq!(words, ["p", "--replicate-api-token=r8_secret", "--public-base-url=https://a.example"]);
        assert_eq!(notes.len(), 2);
        assert!(notes[0].contains("REPLICATE_API_KEY") && notes[0].contains("REPLICATE_API_TOKEN"));
        assert!(!notes.concat().contains("secret"), "no value is told: {notes:?}");
    }

    #[test]
    fn ours_go_first_and_the_rest_is_named() {
        let ours = [
            ("SECRET_KEY_BASE", "a"),
            ("SPOOL_SIGNING_KEY", "b"),
            ("POOL_SIZE", ""),
            ("AUDIO_SYNC_MODE", "trim"),
        ];
        let (words, notes) = with(&["p"], &ours);
        assert_eq!(words, ["p"]);
        assert_eq!(notes.len(), 2, "{notes:?}");
        for given in [&["p", "--signing-key=c"][..], &["p", "--signing-key", "c"]] {
            assert_eq!(with(given, &[("SECRET_KEY_BASE", "a")]).0, given);
        }
    }
}
