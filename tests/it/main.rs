//! The whole system, from outside. Trials are small unless these variables say otherwise:
//!
//! | variable | trial |
//! | --- | --- |
//! | `SPOOL_TEST_SWEEP=full` | every place of the crash sweep in every round |
//! | `SPOOL_TEST_CHAOS_JOBS=200` | so many jobs while workers are killed; `SPOOL_TEST_SEED` repeats the choices of a run |
//! | `SPOOL_TEST_BUDGET_JOBS=8` | so many jobs at a limit for two |
//! | `SPOOL_TEST_OUTAGE_SECONDS=120` | for so long the provider is away |
//! | `SPOOL_TEST_RENDER_SECONDS=120` | measures a rolling restart in the middle of renders of this length |

mod budget;
mod cancel;
mod chaos;
mod crash_sweep;
mod custody;
mod doubt;
mod emergency_stop;
mod explain;
mod fair_money;
mod gpu_time;
mod handover;
mod limits;
mod memo;
mod orphans;
mod outages;
mod postgres_18;
mod provider_outages;
mod replicate_clients;
mod retry;
mod rolling_restart;
mod supervisor;
mod the_film;
mod tidy;
