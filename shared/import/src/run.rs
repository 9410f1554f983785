//! The run: table by table, page by page; a page of rows is a batch, all of it or nothing.

use crate::attach::{Attach, Blobs};
use crate::batch::{self, Item, Registration, Run};
use crate::error::ImportError;
use crate::keep::{Keeper, Media};
use crate::map::{Mapped, Target, Whole, accounts, asset, brief, elixir_job, python_video};
use crate::numbers;
use crate::owners::{self, Imagined};
use crate::plan::{self, Treatment};
use crate::report::Report;
use crate::source::open::Source;
use crate::source::row::Row;
use crate::source::system::System;
use crate::source::table::Table;
use crate::tally::{self, Tally};
use crate::verify;
use serde_json::json;
use spool_db::import::register::{self, Fate, Known};
use spool_media::store::MediaStore;
use spool_provider::guard::FetchPolicy;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Rows of a batch. Each may have a film, but films are streamed: only texts add up.
const BATCH: usize = 20;

/// What to import, and into what.
pub struct Import<'a> {
    /// Which program wrote it.
    pub system: System,
    /// The name under which the register keeps it.
    pub name: &'a str,
    /// Our database, up to date.
    pub db: &'a PgPool,
    /// Our media; none: a dry run, which writes nothing anywhere.
    pub store: Option<&'a MediaStore>,
    /// Folder of the older system's files.
    pub files: Option<&'a Path>,
    /// Fetch what is only at an address, from where this lets us.
    pub fetch: Option<&'a FetchPolicy>,
    /// Read the media of rows that were imported before again, and compare.
    pub verify: bool,
    /// Jobs whose number is taken get another.
    pub renumber_jobs: bool,
}

/// Somebody who watches.
pub trait Watch {
    /// A table begins.
    fn table(&mut self, name: &str, rows: u64);
    /// Rows of it are done, with so many bytes of media.
    fn rows(&mut self, rows: u64, bytes: u64);
}

/// Brings everything over.
///
/// # Errors
/// See [`ImportError`]; what was committed until then stays.
pub async fn run(import: &Import<'_>, source: &Source, watch: &mut dyn Watch) -> Result<Report, ImportError> {
    if import.fetch.is_some() {
        spool_provider::http::install_crypto();
    }
    let mut connection = acquire(import.db).await?;
    let reserve = import.store.is_some();
    numbers::check(&mut connection, import.system, import.name, source, import.renumber_jobs, reserve)
        .await?;
    drop(connection);
    let attach = Attach {
        source,
        keeper: import.store.map_or(Keeper::Nothing, Keeper::Store),
        files: import.files,
        fetch: import.store.zip(import.fetch),
    };
    let mut runner = Runner {
        import,
        source,
        attach,
        imagined: Imagined::default(),
        claimed: BTreeSet::new(),
        id: None,
        tally: Tally::default(),
    };
    let order = plan::order(import.system, source.tables());
    for (table, treatment) in &order {
        watch.table(&table.name, table.rows);
        runner.table(table, *treatment, watch).await?;
    }
    let mut tally = runner.tally;
    if import.store.is_some() {
        let mut connection = acquire(import.db).await?;
        for (table, treatment) in &order {
            if !matches!(treatment, Treatment::Skipped(_)) {
                let count = register::count(&mut connection, import.name, &table.name).await?;
                tally.table(&table.name).registered = Some(count);
            }
        }
    }
    let report = Report {
        system: import.system.as_str(),
        source: import.name.to_owned(),
        generation: import.system.generation(source.tables()),
        dry_run: import.store.is_none(),
        tables: order.iter().filter_map(|(table, _)| tally.take(&table.name)).collect(),
    };
    if let Some(id) = runner.id {
        let mut connection = acquire(import.db).await?;
        register::finish(&mut connection, id, &json!(report)).await?;
    }
    Ok(report)
}

async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, ImportError> {
    pool.acquire().await.map_err(|source| ImportError::Transaction { doing: "connect for", source })
}

struct Runner<'a> {
    import: &'a Import<'a>,
    source: &'a Source,
    attach: Attach<'a>,
    imagined: Imagined,
    /// Rows that went into another one in this run, by table and key.
    claimed: BTreeSet<(String, String)>,
    /// The run's row, once there was something to write.
    id: Option<i64>,
    tally: Tally,
}

impl Runner<'_> {
    async fn table(
        &mut self,
        table: &Table,
        treatment: Treatment,
        watch: &mut dyn Watch,
    ) -> Result<(), ImportError> {
        let report = self.tally.table(&table.name);
        report.rows = table.rows;
        if let Treatment::Skipped(why) = treatment {
            report.skipped = Some(why);
            return Ok(());
        }
        let mut after = i64::MIN;
        loop {
            let page = self.source.page(table, after, BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.position;
            let rows = page.len() as u64;
            let bytes = self.page(page, treatment).await?;
            watch.rows(rows, bytes);
        }
    }

    /// A batch; returns the bytes of media that were read.
    async fn page(&mut self, page: Vec<Row>, treatment: Treatment) -> Result<u64, ImportError> {
        let Some(table) = page.first().map(|row| row.table.clone()) else { return Ok(0) };
        let known = self.known(&table, page.iter().map(|row| row.id.clone()).collect()).await?;
        let mut items = Vec::new();
        for row in page {
            if self.claimed.contains(&(row.table.clone(), row.id.clone())) {
                continue;
            }
            let checksum = row.checksum();
            match known.get(&row.id) {
                Some(known) if known.waiting => {
                    let item = self.item(row, checksum, treatment).await?;
                    // Nothing new: nothing to write.
                    if matches!(item.mapped.target, Target::Waiting(_)) {
                        self.tally.count(&item, &tally::would_be(&item.mapped.target, &item.row));
                    } else {
                        items.push(item);
                    }
                }
                Some(known) if known.checksum != checksum => self.tally.table(&table).changed += 1,
                Some(_) => {
                    let verify = self.import.verify && self.import.store.is_some();
                    let same = !verify
                        || verify::is_same(self.import.db, self.import.name, &self.attach, &row, treatment)
                            .await?;
                    let report = self.tally.table(&table);
                    if same { report.already += 1 } else { report.changed += 1 }
                }
                None => items.push(self.item(row, checksum, treatment).await?),
            }
        }
        let bytes = items.iter().flat_map(|item| item.media.values()).map(|held| held.bytes).sum();
        self.write(items).await?;
        Ok(bytes)
    }

    async fn known(&self, table: &str, rows: Vec<String>) -> Result<BTreeMap<String, Known>, ImportError> {
        let mut connection = acquire(self.import.db).await?;
        let known = register::known(&mut connection, self.import.name, table, &rows).await?;
        Ok(known.into_iter().map(|known| (known.row.clone(), known)).collect())
    }

    /// The row with all that belongs to it, as it is to be written.
    async fn item(&mut self, row: Row, checksum: String, treatment: Treatment) -> Result<Item, ImportError> {
        let found = self.attach.media(&row, treatment).await?;
        let (children, mut blobs) = self.children(&row, treatment).await?;
        blobs.extend(found.blobs);
        let mut parts = Vec::new();
        for (blob, held) in blobs {
            let fate = Fate::Carried { target: "media", id: held.digest.clone() };
            let media = blob.streamed().map(|column| (column.to_owned(), held.clone())).collect();
            let mut document = blob.document();
            document.retain(|column, _| column != "id" && blob.streamed().all(|streamed| streamed != column));
            self.part(&mut parts, &blob, fate, document, media).await?;
        }
        let whole = Whole { row, media: found.media, children };
        let mapped = self.mapped(&whole, treatment).await?;
        for (index, (child, media)) in whole.children.iter().enumerate() {
            let (fate, document) = match mapped.children.get(index) {
                Some(became) => {
                    (Fate::Carried { target: became.target, id: became.id.clone() }, became.document.clone())
                }
                None => (Fate::Waiting { why: "the job it belongs to waits".to_owned() }, child.document()),
            };
            self.part(&mut parts, child, fate, document, media.clone()).await?;
        }
        Ok(Item { row: whole.row, checksum, media: whole.media, mapped, parts })
    }

    /// A row that goes into another one, once.
    async fn part(
        &mut self,
        parts: &mut Vec<Registration>,
        row: &Row,
        fate: Fate,
        document: serde_json::Map<String, serde_json::Value>,
        media: Media,
    ) -> Result<(), ImportError> {
        let key = (row.table.clone(), row.id.clone());
        if self.claimed.contains(&key) {
            return Ok(());
        }
        let known = self.known(&row.table, vec![row.id.clone()]).await?;
        // One that was registered before is counted when its own table is read.
        if known.values().all(|known| known.waiting) {
            let checksum = row.checksum();
            parts.push(Registration {
                table: row.table.clone(),
                row: row.id.clone(),
                checksum,
                fate,
                document,
                media,
            });
            self.claimed.insert(key);
        }
        Ok(())
    }

    /// The rows that belong to a job, with their media, and the rows of blobs that those came from.
    async fn children(
        &self,
        row: &Row,
        treatment: Treatment,
    ) -> Result<(Vec<(Row, Media)>, Blobs), ImportError> {
        let tables: &[(&str, &[&str])] = match treatment {
            Treatment::ElixirJob => &[("sub_jobs", &["inserted_at"])],
            Treatment::PythonVideo => {
                &[(python_video::SHOTS, &["scene_number"]), (python_video::CLIPS, &["sub_job_number"])]
            }
            _ => &[],
        };
        let (mut children, mut blobs) = (Vec::new(), Blobs::new());
        for (name, order) in tables {
            let Some(table) = self.source.table(name).filter(|table| table.has("job_id") && table.has_rowid)
            else {
                continue;
            };
            for child in self.source.children(table, "job_id", &row.id, order).await? {
                let found = self.attach.media(&child, Treatment::Beside("")).await?;
                children.push((child, found.media));
                blobs.extend(found.blobs);
            }
        }
        Ok((children, blobs))
    }

    async fn mapped(&mut self, whole: &Whole, treatment: Treatment) -> Result<Mapped, ImportError> {
        let name = self.import.name;
        let owner = match treatment {
            Treatment::Campaign | Treatment::Asset | Treatment::ElixirJob | Treatment::PythonVideo => {
                owners::of(self.import.db, name, &self.imagined, &whole.row).await?
            }
            _ => owners::Owner::default(),
        };
        let may_wait = self.attach.may_wait();
        let mapped = match treatment {
            Treatment::Client => accounts::client(name, whole),
            Treatment::Campaign => accounts::campaign(name, whole, owner),
            Treatment::Asset => asset::asset(name, whole, owner, may_wait),
            Treatment::ElixirJob => elixir_job::job(name, whole, owner),
            Treatment::PythonVideo => python_video::video(name, whole, owner, may_wait),
            Treatment::Brief => brief::brief(name, whole),
            Treatment::Beside(why) | Treatment::Skipped(why) => {
                Mapped::only(Target::Beside(why.to_owned()), whole.row.document())
            }
        };
        if self.import.store.is_none() {
            match &mapped.target {
                Target::Client(id, ..) => drop(self.imagined.clients.insert(*id)),
                Target::Campaign(id, new, _) => drop(self.imagined.campaigns.insert(*id, new.client_id)),
                _ => {}
            }
        }
        Ok(mapped)
    }

    async fn write(&mut self, mut items: Vec<Item>) -> Result<(), ImportError> {
        if items.is_empty() {
            return Ok(());
        }
        let fates = if self.import.store.is_some() {
            let id = if let Some(id) = self.id {
                id
            } else {
                let mut connection = acquire(self.import.db).await?;
                register::begin(&mut connection, self.import.name, self.import.system.as_str()).await?
            };
            self.id = Some(id);
            let run = Run { source: self.import.name, id, renumber: self.import.renumber_jobs };
            batch::write(self.import.db, run, &mut items).await?
        } else {
            items.iter().map(|item| tally::would_be(&item.mapped.target, &item.row)).collect()
        };
        for (item, fate) in items.iter().zip(&fates) {
            self.tally.count(item, fate);
        }
        Ok(())
    }
}
