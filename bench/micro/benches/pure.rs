//! What is pure, timed by itself: the planner over photos, the delay of a retry, the making of a batch. `make bench-micro`.

use divan::{Bencher, black_box};
use spool_job::photo::Photo;
use spool_job::planner::{self, Direction};
use spool_queue::{Batch, NewTask, OnFailure, RetryPolicy};

fn main() {
    divan::main();
}

fn photos(count: usize) -> Vec<Photo> {
    const NAMES: &[&str] = &["kitchen", "bedroom", "exterior front", "IMG", "living room", "bath", "garden path"];
    let name = |index: usize| format!("{} {index:04}.jpg", NAMES[index % NAMES.len()]);
    (0..count).map(|index| Photo { asset_id: uuid::Uuid::nil(), name: name(index), tags: Vec::new() }).collect()
}

#[divan::bench(args = [10, 100, 1000])]
fn plan_image_pairs(bencher: Bencher<'_, '_>, count: usize) {
    let (photos, direction) = (photos(count), Direction::default());
    bencher.bench_local(|| planner::image_pairs(black_box(&photos), count / 2, &direction));
}

#[divan::bench(args = [10, 100, 1000])]
fn plan_property_film(bencher: Bencher<'_, '_>, count: usize) {
    let (photos, direction) = (photos(count), Direction::default());
    let types: Vec<String> =
        planner::DEFAULT_PROPERTY_TYPES.iter().map(|&one| one.to_owned()).collect();
    bencher.bench_local(|| planner::property_photos(black_box(&photos), &types, &direction));
}

#[divan::bench]
fn retry_delay() -> std::time::Duration {
    RetryPolicy::DEFAULT.delay_with_jitter(black_box(3), black_box(0.4))
}

#[divan::bench(args = [10, 1000])]
fn make_batch_of_a_film(bencher: Bencher<'_, '_>, scenes: usize) {
    bencher.bench_local(|| {
        let mut batch = Batch::new();
        let film = batch.add(NewTask::new("film", "main", 1, &0));
        for scene in 0..scenes {
            let scene = batch.add(NewTask::new("scene", "main", 1, &scene));
            batch.after(film, scene, OnFailure::Cancel);
        }
        batch
    });
}
