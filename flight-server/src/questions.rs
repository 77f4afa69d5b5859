//! Questions on their way through any door: planned, bound, answered by the hub, each within limits.
//!
//! Every door asks here and nowhere else, so answers, refusals and settings are the same at all of them. Dropping the
//! future of an answer drops the question at every node.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use caim_engine::hub::{Answer, Hub, HubError, Prepared};
use caim_engine::{Asker, Progress};
use caim_sql::Refusal;
use caim_sql::lower::Settings;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use futures::FutureExt;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Statements planned and run at the same time; more wait, but not for ever.
const PLANNING: usize = 8;
const RUNNING: usize = 64;
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// No, because.
    Refused(Refusal),
    /// The hub has no room for the question.
    Busy(&'static str),
    /// The hub failed; the text is safe to show.
    Failed(String),
}

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The way to the hub.
pub(crate) struct Questions {
    hub: Arc<Hub>,
    planning: Semaphore,
    running: Semaphore,
}

impl Questions {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, planning: Semaphore::new(PLANNING), running: Semaphore::new(RUNNING) }
    }

    /// Plans a statement. What would be refused is refused here, before any node is asked.
    pub(crate) async fn plan(&self, sql: String, settings: Settings) -> Result<Prepared, Unanswered> {
        self.hub.refresh().await;
        let hub = Arc::clone(&self.hub);
        self.blocking(move || hub.prepare(&sql, &settings)).await
    }

    /// Binds values by position.
    pub(crate) async fn bind(
        &self,
        planned: Arc<Prepared>,
        values: Vec<ScalarValue>,
    ) -> Result<Prepared, Unanswered> {
        self.hub.refresh().await;
        let hub = Arc::clone(&self.hub);
        self.blocking(move || hub.bind(&planned, fit(values, &planned.parameters()))).await
    }

    /// Asks the nodes; `progress` is for whoever watches how far they are.
    pub(crate) async fn answer(
        &self,
        prepared: &Prepared,
        asker: &Asker,
        progress: &Progress,
    ) -> Result<Answer, Unanswered> {
        let _running = patient(&self.running).await?;
        // A panic in one question must not take the connection and its other questions along.
        let answer = AssertUnwindSafe(self.hub.answer_watched(prepared, asker, progress)).catch_unwind();
        match Box::pin(answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(HubError::Refused(refusal))) => Err(refusal.into()),
            Ok(Err(HubError::Failed(why))) => Err(Unanswered::Failed(why)),
            Err(_) => Err(fault("the question")),
        }
    }

    /// What a prepared statement costs and protects, as JSON: from the question and public policies alone.
    pub(crate) fn cost(&self, prepared: &Prepared) -> Result<Vec<u8>, Unanswered> {
        let check = self.hub.check_prepared(prepared)?;
        serde_json::to_vec(&check).map_err(|_| Unanswered::Failed("the cost cannot be written".to_owned()))
    }

    /// What a statement would push down, cost and protect, as text.
    pub(crate) async fn check(&self, sql: String, settings: Settings) -> Result<String, Unanswered> {
        self.hub.refresh().await;
        let hub = Arc::clone(&self.hub);
        self.blocking(move || hub.check(&sql, &settings).map(|check| check.to_string())).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let _planning = patient(&self.planning).await?;
        match tokio::task::spawn_blocking(work).await {
            Ok(planned) => Ok(planned?),
            Err(_) => Err(fault("planning")),
        }
    }
}

fn fault(what: &str) -> Unanswered {
    Unanswered::Failed(format!("{what} ended with a fault; the hub's operator finds it in the log"))
}

async fn patient(semaphore: &Semaphore) -> Result<SemaphorePermit<'_>, Unanswered> {
    match tokio::time::timeout(PATIENCE, semaphore.acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_)) => Err(Unanswered::Busy("the hub is shutting down")),
        Err(_) => Err(Unanswered::Busy("the hub is busy; try again later")),
    }
}

/// Values in the types that the statement expects, where no value changes by it. What does not fit stays as it is:
/// the planner knows how to compare it, or refuses it by name.
fn fit(values: Vec<ScalarValue>, expected: &Schema) -> Vec<ScalarValue> {
    let mut types = expected.fields().iter().map(|field| field.data_type());
    values.into_iter().map(|value| types.next().map_or(value.clone(), |ty| fit_one(value, ty))).collect()
}

fn fit_one(value: ScalarValue, ty: &DataType) -> ScalarValue {
    if *ty == DataType::Null || value.data_type() == *ty {
        return value;
    }
    let there_and_back = value.cast_to(ty).and_then(|cast| Ok((cast.cast_to(&value.data_type())?, cast)));
    match there_and_back {
        Ok((back, cast)) if back == value => cast,
        Ok(_) | Err(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::ScalarValue;

    use super::fit;

    #[test]
    fn values_are_cast_only_where_nothing_is_lost() {
        let expected = Schema::new(vec![
            Field::new("$1", DataType::Int64, true),
            Field::new("$2", DataType::Int64, true),
            Field::new("$3", DataType::Utf8, true),
            Field::new("$4", DataType::Null, true),
        ]);
        let values = vec![
            ScalarValue::Float64(Some(60.0)),
            ScalarValue::Float64(Some(60.5)),
            ScalarValue::LargeUtf8(Some("CT".into())),
            ScalarValue::Int8(Some(1)),
            ScalarValue::Int8(Some(2)),
        ];
        let fitted = fit(values, &expected);
        assert_eq!(fitted[0], ScalarValue::Int64(Some(60)));
        assert_eq!(fitted[1], ScalarValue::Float64(Some(60.5)));
        assert_eq!(fitted[2], ScalarValue::Utf8(Some("CT".into())));
        assert_eq!(fitted[3..], [ScalarValue::Int8(Some(1)), ScalarValue::Int8(Some(2))]);
    }
}
