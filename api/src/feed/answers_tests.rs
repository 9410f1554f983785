//! Kept answers: read once for many, taken away by a change, gone by themselves.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const LONG: Duration = Duration::from_secs(3600);
const KEY: Key = (7, false);

fn answer(state: JobState, tag: &'static str) -> Answer {
    Answer {
        owner: None,
        state,
        stage: "rendering".to_owned(),
        tag: HeaderValue::from_static(tag),
        links_end: 0,
        mark: Mark::default(),
        body: Bytes::from_static(b"{}"),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a reader may fail")]
fn made(answer: Answer) -> Made {
    Ok(Some(Arc::new(answer)))
}

async fn tag_of(answers: &Answers, vouched: bool, answer: Answer) -> String {
    let found = answers.get(KEY, vouched, 0, |_| async { made(answer) }).await;
    found.expect("no error").expect("an answer").tag.to_str().expect("text").to_owned()
}

#[tokio::test]
async fn many_at_once_read_once() {
    let (answers, reads) = (Answers::new(LONG), AtomicU32::new(0));
    let ask = || {
        answers.get(KEY, false, 0, |_| async {
            reads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            made(answer(JobState::Processing, "\"1\""))
        })
    };
    let found = futures::future::join_all((0..50).map(|_| ask())).await;
    assert!(found.into_iter().all(|one| one.is_ok_and(|one| one.is_some())));
    assert_eq!(reads.into_inner(), 1);
}

#[tokio::test]
async fn a_change_takes_it_away_also_while_it_is_being_read() {
    let answers = Answers::new(LONG);
    assert_eq!(tag_of(&answers, false, answer(JobState::Processing, "\"1\"")).await, "\"1\"");
    assert_eq!(tag_of(&answers, false, answer(JobState::Processing, "\"2\"")).await, "\"1\"", "is kept");
    answers.forget(7);
    assert_eq!(tag_of(&answers, false, answer(JobState::Processing, "\"2\"")).await, "\"2\"");

    answers.forget_all();
    let slow = answers.get(KEY, false, 0, |_| async {
        // The change comes after the rows were read and before the answer is kept.
        answers.forget(7);
        made(answer(JobState::Processing, "\"old\""))
    });
    slow.await.expect("no error");
    assert_eq!(tag_of(&answers, false, answer(JobState::Processing, "\"new\"")).await, "\"new\"");
}

#[tokio::test]
async fn without_a_word_it_ends_unless_the_job_has_ended_and_somebody_vouches() {
    let answers = Answers::new(Duration::ZERO);
    for (vouched, state, kept) in [
        (false, JobState::Processing, false),
        (true, JobState::Processing, false),
        (false, JobState::Completed, false),
        (true, JobState::Completed, true),
    ] {
        answers.forget_all();
        tag_of(&answers, vouched, answer(state, "\"1\"")).await;
        assert_eq!(answers.head(KEY, vouched).is_some(), vouched, "{state} {vouched}");
        let again = tag_of(&answers, vouched, answer(state, "\"2\"")).await;
        assert_eq!(again == "\"1\"", kept, "{state} {vouched}");
    }
}

#[tokio::test]
async fn what_is_no_longer_young_is_handed_on_until_a_change_takes_it_away() {
    let answers = Answers::new(Duration::ZERO);
    let first = Arc::new(answer(JobState::Processing, "\"1\""));
    let kept = &first;
    let keep = |earlier: Option<Arc<Answer>>| async move { Ok(earlier.or_else(|| Some(Arc::clone(kept)))) };
    for _ in 0..3 {
        let found = answers.get(KEY, true, 0, keep).await.expect("no error").expect("an answer");
        assert!(Arc::ptr_eq(&found, &first));
    }
    answers.forget(7);
    let seen = answers.get(KEY, true, 0, |earlier| async move {
        assert!(earlier.is_none(), "it may be another by now");
        Ok(None)
    });
    assert!(seen.await.expect("no error").is_none());
    // Nor is one whose links have ended.
    let linked = Answer { links_end: 100, ..answer(JobState::Completed, "\"1\"") };
    answers.get(KEY, false, 100, |_| async { made(linked) }).await.expect("no error");
    let later = answers.get(KEY, false, 200, |earlier| async move {
        assert!(earlier.is_none());
        Ok(None)
    });
    assert!(later.await.expect("no error").is_none());
}

#[tokio::test]
async fn what_is_not_there_or_went_wrong_is_asked_again_and_links_that_end_are_not_given_out() {
    let answers = Answers::new(LONG);
    let none = answers.get(KEY, true, 0, |_| async { Ok(None) }).await;
    assert!(none.expect("no error").is_none());
    let wrong = answers.get(KEY, true, 0, |_| async { Err(ApiError::internal("no")) }).await;
    assert!(wrong.is_err());
    let linked = Answer { links_end: 100, ..answer(JobState::Completed, "\"1\"") };
    assert_eq!(tag_of(&answers, true, Answer { links_end: 0, ..linked.clone() }).await, "\"1\"");
    answers.forget(7);
    let ask =
        |links_end, answer: Answer| answers.get(KEY, true, links_end, move |_| async move { made(answer) });
    ask(100, linked.clone()).await.expect("no error");
    let later = Answer { links_end: 200, tag: HeaderValue::from_static("\"2\""), ..linked };
    assert_eq!(ask(100, later.clone()).await.expect("no error").expect("kept").links_end, 100);
    assert_eq!(ask(200, later).await.expect("no error").expect("new").links_end, 200);
}

#[tokio::test]
async fn room_is_bounded() {
    let answers = Answers::new(LONG);
    for job in 0..(MOST as i64 * 2) {
        let make = |_: Option<Arc<Answer>>| async { made(answer(JobState::Processing, "\"1\"")) };
        answers.get((job, false), false, 0, make).await.expect("no error");
    }
    assert!(answers.cells().len() <= MOST);
}
