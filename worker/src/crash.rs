//! Places where a test may kill the process, to prove that dying there loses nothing and pays nothing
//! twice. Release builds lack them: without the cargo feature `crash-points` the macro is empty.

/// Every place, in the order a job passes them.
#[cfg(feature = "crash-points")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CrashPoint {
    /// The intent is committed, nothing was sent.
    IntentWritten,
    /// The provider answered, nothing of it is written.
    Posted,
    /// The provider's id is committed.
    SubmitRecorded,
    /// The outcome of the POST is known to be unknown, and committed.
    UnknownRecorded,
    /// The list scan found it, nothing of it is written.
    Found,
    /// The provider says it is done, nothing of it is written.
    Polled,
    /// Success, cost and the collect task are committed.
    SuccessRecorded,
    /// The output lies in a temporary file.
    Downloaded,
    /// The output is in the object store, no row knows it.
    OutputStored,
    /// The scene is completed.
    CollectRecorded,
    /// The clips are joined in a temporary file.
    Stitched,
    /// The joined clips are in the object store, no row knows them.
    StitchStored,
    /// The joined clips are recorded.
    StitchRecorded,
    /// The soundtrack lies in a temporary file.
    SoundtrackMade,
    /// The mixed video is in the object store, no row knows it.
    MixStored,
    /// The mixed video is recorded.
    MixRecorded,
    /// The thumbnail is in the object store, no row knows it.
    ThumbnailStored,
    /// The verified video is recorded.
    VerifyRecorded,
    /// An output that was bought before is there and whole, nothing says that it is used again.
    MemoFound,
    /// It is used again.
    MemoRecorded,
    /// A job was called off; a prediction of it is handed to the task that winds it up.
    RecallBegun,
    /// The provider was told to stop, nothing of it is written.
    RecallSent,
    /// What was called off is final and booked.
    RecallRecorded,
    /// All tasks are final, the job is not concluded.
    Concluding,
    /// The job is concluded.
    Concluded,
}

#[cfg(feature = "crash-points")]
impl CrashPoint {
    /// All of them.
    pub(crate) const ALL: &'static [Self] = &[
        Self::IntentWritten,
        Self::Posted,
        Self::SubmitRecorded,
        Self::UnknownRecorded,
        Self::Found,
        Self::Polled,
        Self::SuccessRecorded,
        Self::Downloaded,
        Self::OutputStored,
        Self::CollectRecorded,
        Self::Stitched,
        Self::StitchStored,
        Self::StitchRecorded,
        Self::SoundtrackMade,
        Self::MixStored,
        Self::MixRecorded,
        Self::ThumbnailStored,
        Self::VerifyRecorded,
        Self::MemoFound,
        Self::MemoRecorded,
        Self::RecallBegun,
        Self::RecallSent,
        Self::RecallRecorded,
        Self::Concluding,
        Self::Concluded,
    ];
}

/// Dies here when the folder `SPOOL_CRASH_DIR` holds a file named after the place. The file goes
/// first, so that each one kills exactly one process.
#[cfg(feature = "crash-points")]
pub(crate) fn reach(point: CrashPoint) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let Some(dir) = std::env::var_os("SPOOL_CRASH_DIR") else { return };
    if std::fs::remove_file(std::path::Path::new(&dir).join(format!("{point:?}"))).is_ok() {
        tracing::warn!(?point, "crash point reached, killing this process");
        let _ = kill(Pid::this(), Signal::SIGKILL);
        // The signal is on its way; nothing after this line may happen.
        loop {
            std::thread::park();
        }
    }
}

/// Marks a place where a test may kill the process.
macro_rules! crash_point {
    ($point:ident) => {
        #[cfg(feature = "crash-points")]
        $crate::crash::reach($crate::crash::CrashPoint::$point);
    };
}
pub(crate) use crash_point;
