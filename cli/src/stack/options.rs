//! What the command line says about a stack.

use std::num::NonZeroUsize;
use std::path::PathBuf;

/// How the local stand-in for the paid providers behaves, and what runs beside it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StackOptions {
    /// Folder of everything that is kept: database, media, keys, logs.
    #[arg(long, default_value = ".spool/dev")]
    pub(crate) data_dir: PathBuf,
    /// Port of the API; 0 takes a free one [default: the last one, else 8080, else a free one].
    #[arg(long)]
    pub(crate) api_port: Option<u16>,
    /// Port of the simulator; 0 takes a free one [default: the last one, else 8100, else a free one].
    #[arg(long)]
    pub(crate) simulator_port: Option<u16>,
    /// Worker processes.
    #[arg(long, default_value = "1")]
    pub(crate) workers: NonZeroUsize,
    /// Simulated models run this many times faster than the real ones.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    pub(crate) speed: f64,
    /// The simulator serves cached clips instead of encoding each one, for load tests.
    #[arg(long)]
    pub(crate) cheap_media: bool,
    /// No simulator: use Replicate with REPLICATE_API_TOKEN, which costs money. PUBLIC_BASE_URL must be set to an
    /// address that leads to this API from outside.
    #[arg(long, conflicts_with_all = ["simulator_port", "speed", "cheap_media"])]
    pub(crate) real_providers: bool,
}

/// A speed as the command line takes it.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("give a number above 0, such as 10".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::positive;

    #[test]
    fn a_speed_is_a_positive_number() {
        assert_eq!(positive("2.5"), Ok(2.5));
        for bad in ["0", "-1", "inf", "NaN", "fast"] {
            assert!(positive(bad).is_err(), "{bad}");
        }
    }
}
