//! CPU time of the Postgres that is measured, from `/proc`: its first process, those that run, those that have ended.

use crate::{contestant::TICKS, figures::BoxError};

pub(crate) struct Postmaster(i32);

impl Postmaster {
    /// # Errors
    /// When the server does not run on this machine.
    pub(crate) fn of_backend(pid: i32) -> Result<Self, BoxError> {
        let stat = Stat::read(pid).ok_or("the server does not run on this machine")?;
        Ok(Self(stat.parent))
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        let own = Stat::read(self.0).map_or(0.0, |stat| stat.own + stat.ended_children);
        let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let children = pids.filter_map(Stat::read).filter(|stat| stat.parent == self.0);
        (own + children.map(|stat| stat.own).sum::<f64>()) / TICKS
    }
}

/// In ticks.
struct Stat {
    parent: i32,
    own: f64,
    ended_children: f64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<f64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            ended_children: number(13)? + number(14)?,
        })
    }
}
