//! Statements that run while their caller polls: for questions that take longer than a proxy keeps a call open.
//!
//! The ticket is the same from the first poll to the last. Fetching it early waits for the answer; cancelling it, or
//! asking no more for a minute, ends the work at every node.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use caim_engine::hub::{Answer, Prepared};
use caim_engine::{Asker, Progress};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::handles::{Bounds, Handles};
use crate::questions::{Questions, Unanswered};

/// Statements that are polled for.
const POLLED: Bounds = Bounds { per_owner: 16, overall: 256, idle: Duration::from_secs(60) };

/// How long one poll waits for news.
const PATIENCE: Duration = Duration::from_secs(1);

/// The statements that are polled for, by the handle of their tickets.
pub(super) struct Polls(Handles<Polled>);

/// A statement that runs; forgetting it ends its work.
pub(super) struct Polled {
    pub(super) prepared: Arc<Prepared>,
    progress: Arc<Progress>,
    outcome: Arc<Mutex<Option<Result<Answer, Unanswered>>>>,
    done: watch::Receiver<bool>,
    _work: JoinSet<()>,
}

impl Polls {
    pub(super) fn new() -> Self {
        Self(Handles::new(POLLED))
    }

    /// Asks the nodes and returns the handle to poll with.
    pub(super) fn start(
        &self,
        questions: Arc<Questions>,
        prepared: Arc<Prepared>,
        asker: Asker,
        owner: &str,
    ) -> String {
        let (progress, outcome) = (Arc::<Progress>::default(), Arc::<Mutex<Option<_>>>::default());
        let (tell, done) = watch::channel(false);
        let mut work = JoinSet::new();
        work.spawn({
            let (prepared, progress, outcome) =
                (Arc::clone(&prepared), Arc::clone(&progress), Arc::clone(&outcome));
            async move {
                let answered = questions.answer(&prepared, &asker, &progress).await;
                *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(answered);
                tell.send_replace(true);
            }
        });
        self.0.keep(owner, Polled { prepared, progress, outcome, done, _work: work })
    }

    /// The statement, if it is this owner's and still kept.
    pub(super) fn get(&self, owner: &str, handle: &str) -> Option<Arc<Polled>> {
        self.0.get(owner, handle)
    }

    /// The statement, which is forgotten then.
    pub(super) fn take(&self, owner: &str, handle: &str) -> Option<Arc<Polled>> {
        self.0.take(owner, handle)
    }
}

impl Polled {
    /// Waits a moment for the end; says how far the work is, or nothing when it has ended.
    pub(super) async fn wait(&self) -> Option<f64> {
        let mut done = self.done.clone();
        let ended = tokio::time::timeout(PATIENCE, done.wait_for(|done| *done)).await.is_ok();
        (!ended).then(|| self.progress.share())
    }

    /// Waits for the outcome and takes it; once.
    pub(super) async fn outcome(&self) -> Result<Answer, Unanswered> {
        let mut done = self.done.clone();
        let ended = done.wait_for(|done| *done).await.is_ok();
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        match outcome {
            Some(outcome) if ended => outcome,
            Some(_) | None => Err(Unanswered::Failed("the question ended without an outcome".to_owned())),
        }
    }
}
