//! The whole system, from outside. Trials are small unless these variables say otherwise (`make trials` sets them, docs/trials.md):
//!
//! | variable | trial |
//! | --- | --- |
//! | `SPOOL_TEST_SWEEP=full` | every place of the crash sweep in every round, and one at a time where an outcome is unknown |
//! | `SPOOL_TEST_CHAOS_JOBS=200` | so many jobs while workers are killed; `SPOOL_TEST_SEED` repeats the choices of a run |
//! | `SPOOL_TEST_BUDGET_JOBS=8` | so many jobs at a limit for two |
//! | `SPOOL_TEST_OUTAGE_SECONDS=120` | for so long the provider is away |
//! | `SPOOL_TEST_LIMIT_WORKERS=8` | limits are kept to 2 % and used to 95 %; with `SPOOL_TEST_LIMIT_PER_MINUTE=240` and `SPOOL_TEST_LIMIT_JOBS=80` |
//! | `SPOOL_TEST_PICTURES=FOLDER` | keeps the pictures of the dashboards there |
//! | `SPOOL_TEST_RENDER_SECONDS=120` | measures a rolling restart in the middle of renders of this length, and holds it to a bound |

mod alert_delivered;
mod alerts;
mod api_killed;
mod budget;
mod cancel;
mod chaos;
mod crash_sweep;
mod custody;
mod dashboard_schema;
mod dashboards;
mod dictionary;
mod doctor;
mod doubt;
mod emergency_stop;
mod explain;
mod exposition;
mod fair_money;
mod fairness;
mod gpu_time;
mod handover;
mod hooks;
mod limits;
mod limits_settings;
mod logs;
mod memo;
mod observe;
mod orphans;
mod outages;
mod parity;
mod postgres_18;
mod provider_outages;
mod replicate_clients;
mod retry;
mod rolling_restart;
mod standby;
mod supervisor;
mod the_film;
mod tidy;
mod traces;
mod typescript;
