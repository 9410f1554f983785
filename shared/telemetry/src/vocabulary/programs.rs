//! Each process of itself. What the operating system says of it is `process_*`, by the crate metrics-process.

use crate::declared::By::Programs;
use crate::declared::{Declared, gauge, of, open};
use crate::names;
use metrics::Unit;

pub(super) const ALL: &[Declared] = &[
    gauge(
        names::BUILD_INFO,
        Programs,
        &[open("version"), open("revision")],
        "Always 1; its labels say which version and revision runs.",
    ),
    gauge(
        names::DB_POOL_CONNECTIONS,
        Programs,
        &[of("state", &["used", "idle"])],
        "Connections of this process' pool.",
    ),
    gauge(names::DB_POOL_MAX, Programs, &[], "Connections that the pool may have."),
    gauge(
        names::DISK_FREE,
        Programs,
        &[of("place", &["scratch", "media"])],
        "Bytes free on the disk where this process keeps unfinished files (scratch) or a local store (media).",
    )
    .unit(Unit::Bytes),
    gauge(names::DISK_SIZE, Programs, &[of("place", &["scratch", "media"])], "Bytes that the disk has in all.")
        .unit(Unit::Bytes),
];
