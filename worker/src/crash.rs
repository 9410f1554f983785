//! Places where a test may kill the process, to prove that dying there loses nothing and pays nothing
//! twice. Release builds lack them: without the cargo feature `crash-points` the macro is empty.

/// The places and the list of them, from one list.
#[cfg(feature = "crash-points")]
macro_rules! places {
    ($($(#[$doc:meta])* $place:ident,)+) => {
        /// Every place, in the order a job passes them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum CrashPoint {
            $($(#[$doc])* $place,)+
        }

        impl CrashPoint {
            /// All of them.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$place,)+];
        }
    };
}

#[cfg(feature = "crash-points")]
places! {
    /// What stands in the slot is read, nothing is done about it.
    StandingRead,
    /// Nobody stands before it, no row is locked.
    TurnInSight,
    /// It goes to the line; that is written, not committed.
    TurnWaitUncommitted,
    /// It stands in the line.
    TurnWaitRecorded,
    /// Intent, hold, ledger and turn are written, the lease was not looked at since.
    TurnTaken,
    /// Intent, hold and ledger are written, not committed.
    IntentUncommitted,
    /// The intent is committed, nothing was sent.
    IntentWritten,
    /// The run stood still too long to send; that is written, not committed.
    NotSentUncommitted,
    /// That nothing was sent is committed.
    NotSentRecorded,
    /// The provider answered, nothing of it is written.
    Posted,
    /// The provider's id is written, not committed.
    SubmitUncommitted,
    /// The provider's id is committed.
    SubmitRecorded,
    /// What another answer means is written, not committed.
    AnswerUncommitted,
    /// The provider's no is committed, the money is free again.
    RefusalRecorded,
    /// The outcome of the POST is known to be unknown, and committed.
    UnknownRecorded,
    /// That there is no money is written, not committed.
    MoneyWaitUncommitted,
    /// The task is among those that wait for money.
    MoneyWaitRecorded,
    /// An intent of a dead run is made unknown, not committed.
    LossUncommitted,
    /// An intent of a dead run is unknown.
    LossRecorded,
    /// The list could not be read.
    ScanFailed,
    /// The list is read, nothing is made of it.
    Listed,
    /// The list scan found it, nothing of it is written.
    Found,
    /// The adoption is written, not committed.
    AdoptionUncommitted,
    /// The adoption is committed, a double that was found is not canceled.
    Adopted,
    /// A double is canceled at the provider.
    DoubleCanceled,
    /// That a list lacks it is written, not committed.
    EmptyScanUncommitted,
    /// That a list lacks it is committed, and it may be looked for again or bought again.
    EmptyScanRecorded,
    /// That nothing was created is written, not committed.
    VoidUncommitted,
    /// That nobody can tell any more is written, not committed.
    DoubtUncommitted,
    /// That nobody can tell any more is committed.
    DoubtRecorded,
    /// The provider was asked about an operator's claim, nothing of its answer is written.
    ClaimAnswered,
    /// What was found of the claim is written, not committed.
    ClaimUncommitted,
    /// What was found of the claim is committed.
    ClaimRecorded,
    /// The provider was asked, nothing of its answer is written.
    Looked,
    /// It outlives its deadline and was called off at the provider, nothing of it is written.
    OverdueCanceled,
    /// That it still renders is written, not committed.
    LookUncommitted,
    /// That it still renders is committed.
    LookRecorded,
    /// The provider says it is done, nothing of it is written.
    Polled,
    /// Success, cost and the collect task are written, not committed.
    SuccessUncommitted,
    /// Success, cost and the collect task are committed.
    SuccessRecorded,
    /// A crowded provider has its pause, the failed run is not ended.
    PauseRecorded,
    /// The failed run and its cost are written for another try, not committed.
    RetryUncommitted,
    /// The failed run and its cost are committed, another may be bought.
    RetryRecorded,
    /// The last failed run, its cost and the failed scene are written, not committed.
    FailureUncommitted,
    /// The last failed run, its cost and the failed scene are committed.
    FailureRecorded,
    /// The output was gone from its link, the provider has told another.
    OutputAskedAgain,
    /// The output lies in a temporary file.
    Downloaded,
    /// The output is whole and of the right kind.
    OutputChecked,
    /// The output is in the object store, no row knows it.
    OutputStored,
    /// The scene is completed, not committed.
    CollectUncommitted,
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
    /// A sweep gives an orphan to its row; that is written, not committed.
    OrphanAdoptionUncommitted,
    /// An orphan is its row's, nobody is told.
    OrphanAdopted,
    /// That an orphan is nobody's is committed, the provider was not told to stop it.
    OrphanNoted,
    /// The provider was told to stop an orphan, nothing of it is written.
    OrphanCanceled,
    /// How an orphan ended and what it cost is written, not committed.
    OrphanEndUncommitted,
    /// How an orphan ended and what it cost is committed.
    OrphanEnded,
    /// That a webhook is sent now is committed, nothing was sent.
    HookBegun,
    /// An endpoint has answered a webhook, nothing of it is written.
    HookSent,
    /// What an endpoint answered is written, not committed.
    HookUncommitted,
    /// What an endpoint answered is committed.
    HookRecorded,
    /// All tasks are final, the job is not concluded.
    Concluding,
    /// The job is concluded.
    Concluded,
}

/// Dies here when the folder `SPOOL_CRASH_DIR` holds a file named after the place. The file goes
/// first, so that each one kills exactly one process. A file with a number in it makes the run stand
/// still for so many milliseconds instead, as on a machine that is overloaded.
#[cfg(feature = "crash-points")]
pub(crate) fn reach(point: CrashPoint) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let Some(dir) = std::env::var_os("SPOOL_CRASH_DIR") else { return };
    let armed = std::path::Path::new(&dir).join(format!("{point:?}"));
    let Ok(order) = std::fs::read_to_string(&armed) else { return };
    // Of two that read it only one takes it away.
    if std::fs::remove_file(&armed).is_err() {
        return;
    }
    if let Ok(pause) = order.trim().parse() {
        tracing::warn!(crash_point = ?point, duration_ms = pause, "crash point reached, standing still");
        tokio::task::block_in_place(|| std::thread::sleep(std::time::Duration::from_millis(pause)));
        return;
    }
    tracing::warn!(crash_point = ?point, "crash point reached, killing this process");
    let _ = kill(Pid::this(), Signal::SIGKILL);
    // The signal is on its way; nothing after this line may happen.
    loop {
        std::thread::park();
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
