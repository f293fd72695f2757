//! For who owns pipelines: submits them, waits for them, and takes their results, over however many lives of the
//! coordinator.

use std::time::Duration;

use serde_json::Value;

use crate::api::{PipelineInfo, PipelineMetrics, PipelineSpec, RunningTasks, TaskFilter, TaskInfo, TaskResult};
use crate::backoff::Backoff;
use crate::client::{Client, ClientError, Subscription, Update, code};

/// How often a waiting host looks although it was told nothing: the safety net under the notifications.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Submits pipelines and follows them.
///
/// ```no_run
/// use everlog::api::{PipelineSpec, TaskSpec};
/// use everlog::{Client, Host};
///
/// # async fn example() -> Result<(), everlog::ClientError> {
/// let host = Host::new(Client::connect("ws://localhost:8700").await?);
/// let spec = PipelineSpec::new("hello").task(TaskSpec::new("greet").command(["echo", "hello"]));
/// let run = host.submit(&spec).await?;
/// let info = run.wait().await?;
/// println!("{}: {}", info.status, run.result("greet").await?.result);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Host {
    client: Client,
}

impl Host {
    /// A host that speaks through `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Creates a pipeline and starts it.
    ///
    /// # Errors
    /// As [`Client::create_pipeline`]. If only the start fails, the pipeline stays idle.
    pub async fn submit(&self, spec: &PipelineSpec) -> Result<Run, ClientError> {
        let created = self.client.create_pipeline(spec).await?;
        self.client.start_pipeline(&created.pipeline_id).await?;
        Ok(self.attach(created.pipeline_id))
    }

    /// A pipeline that is there already. Nothing is asked yet.
    pub fn attach(&self, pipeline_id: impl Into<String>) -> Run {
        Run { client: self.client.clone(), pipeline_id: pipeline_id.into() }
    }
}

/// One pipeline of a [`Host`]. Dropping it does nothing to the pipeline.
#[derive(Debug, Clone)]
pub struct Run {
    client: Client,
    pipeline_id: String,
}

impl Run {
    /// The pipeline's id.
    pub fn id(&self) -> &str {
        &self.pipeline_id
    }

    /// What is known of the pipeline now.
    ///
    /// # Errors
    /// As [`Client::pipeline`].
    pub async fn status(&self) -> Result<PipelineInfo, ClientError> {
        self.client.pipeline(&self.pipeline_id).await
    }

    /// Waits until the pipeline has ended, well or not; its last record.
    ///
    /// Losing the coordinator does not end the wait, however long it is away: when it is back, this looks again.
    ///
    /// # Errors
    /// As [`Client::subscribe`], and then as [`Client::pipeline`]: also when the pipeline is deleted meanwhile, or the client
    /// is closed.
    pub async fn wait(&self) -> Result<PipelineInfo, ClientError> {
        let mut updates = self.patient_updates().await?;
        loop {
            match self.status().await {
                Ok(info) if info.status.has_ended() => return Ok(info),
                Err(error) if self.is_final(&error) => return Err(error),
                Ok(_) | Err(_) => {}
            }
            // Told or not, the next step is to look.
            if let Ok(News::Ended) = tokio::time::timeout(LOOK_AGAIN, may_have_ended(&mut updates)).await {
                updates = self.patient_updates().await?;
            }
        }
    }

    /// [`Run::updates`], however long the coordinator is away.
    async fn patient_updates(&self) -> Result<Subscription, ClientError> {
        let mut backoff = Backoff::default();
        loop {
            match self.updates().await {
                Err(error) if !self.is_final(&error) => tokio::time::sleep(backoff.next()).await,
                settled => return settled,
            }
        }
    }

    fn is_final(&self, error: &ClientError) -> bool {
        self.client.is_closed() || !error.is_transient()
    }

    /// What happens to the pipeline and its tasks, from now on.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub async fn updates(&self) -> Result<Subscription, ClientError> {
        self.client.subscribe([format!("pipeline:{}", self.pipeline_id)]).await
    }

    /// All tasks of the pipeline, in the order in which they were created.
    ///
    /// # Errors
    /// As [`Client::tasks`].
    pub async fn tasks(&self) -> Result<Vec<TaskInfo>, ClientError> {
        let filter = TaskFilter::default().pipeline_id(&self.pipeline_id);
        self.client.all_tasks(&filter).await
    }

    /// What the task of this name came to. Where it was retried within the pipeline, several tasks have the name: the newest counts.
    ///
    /// # Errors
    /// As [`Client::task_result`]; [`ClientError::Refused`] with [`code::TASK_NOT_FOUND`] if no task has the name.
    pub async fn result(&self, task_name: &str) -> Result<TaskResult, ClientError> {
        let called = TaskFilter::default().pipeline_id(&self.pipeline_id).matching(task_name);
        let mut tasks = self.client.all_tasks(&called).await?;
        // Parts of ids are called so as well.
        tasks.retain(|task| task.name == task_name);
        let task = tasks.last().ok_or_else(|| ClientError::Refused {
            code: code::TASK_NOT_FOUND,
            message: format!(
                "pipeline {} has no task `{task_name}`; `Run::tasks` lists those it has",
                self.pipeline_id
            ),
            data: Value::Null,
        })?;
        self.client.task_result(&task.id).await
    }

    /// Starts nothing more until it is resumed.
    ///
    /// # Errors
    /// As [`Client::pause_pipeline`].
    pub async fn pause(&self, running: RunningTasks) -> Result<(), ClientError> {
        self.client.pause_pipeline(&self.pipeline_id, running).await
    }

    /// Goes on after a pause.
    ///
    /// # Errors
    /// As [`Client::resume_pipeline`].
    pub async fn resume(&self) -> Result<(), ClientError> {
        self.client.resume_pipeline(&self.pipeline_id).await
    }

    /// Ends it: what has not ended is cancelled. The `reason` is kept. How far it came.
    ///
    /// # Errors
    /// As [`Client::stop_pipeline`].
    pub async fn stop(&self, reason: Option<&str>) -> Result<PipelineMetrics, ClientError> {
        self.client.stop_pipeline(&self.pipeline_id, reason).await
    }

    /// Deletes it once it has ended. Its history stays in the log.
    ///
    /// # Errors
    /// As [`Client::delete_pipeline`].
    pub async fn delete(&self) -> Result<(), ClientError> {
        self.client.delete_pipeline(&self.pipeline_id).await
    }
}

/// What a waiting host was told.
enum News {
    /// Something after which the pipeline may have ended.
    Look,
    /// The subscription is over.
    Ended,
}

async fn may_have_ended(updates: &mut Subscription) -> News {
    const ENDS: [&str; 4] = ["pipeline/completed", "pipeline/failed", "pipeline/stopped", "pipeline/deleted"];
    loop {
        match updates.next().await {
            Some(Update::Notification(notification)) if !ENDS.contains(&notification.method.as_str()) => {}
            Some(Update::Ended { .. }) | None => return News::Ended,
            Some(Update::Notification(_) | Update::Resumed | Update::Missed(_)) => return News::Look,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::testing::{Indoors, Peer};

    const ID: &str = "018f0000-0000-7000-8000-000000000001";

    fn info(status: &str) -> Value {
        let at = "2026-01-01T00:00:00.000000+00:00";
        json!({"id": ID, "name": "p", "status": status, "created_at": at, "updated_at": at})
    }

    async fn answer(peer: &mut Peer, method: &str, result: Value) {
        let request = peer.expect(method).await;
        peer.reply(&request, result).await;
    }

    /// Every way in which a waiting host learns of the end.
    #[tokio::test(start_paused = true)]
    async fn the_end_is_seen_when_it_is_told_after_a_cut_and_even_when_nobody_tells() {
        let mut coordinator = Indoors::new();
        let client = Client::connect(coordinator.endpoint()).await.expect("connected");
        let mut peer = coordinator.accept().await;
        for way in ["told", "cut", "silence"] {
            let run = Host::new(client.clone()).attach(ID);
            let waiting = tokio::spawn(async move { run.wait().await });
            let request = peer.skip_to("subscribe").await;
            assert_eq!(request["params"], json!({"topics": [format!("pipeline:{ID}")]}));
            peer.reply(&request, json!({})).await;
            answer(&mut peer, "pipeline/status", info("running")).await;
            match way {
                "told" => {
                    peer.notify("task/changed", json!({"pipeline_id": ID})).await;
                    peer.notify("pipeline/completed", json!({"pipeline_id": ID})).await;
                }
                "cut" => {
                    drop(peer);
                    peer = coordinator.accept().await;
                    answer(&mut peer, "subscribe", json!({})).await;
                }
                _ => tokio::time::sleep(LOOK_AGAIN).await,
            }
            // It looked once, and not at every change of a task.
            answer(&mut peer, "pipeline/status", info("completed")).await;
            let ended = waiting.await.expect("joined").expect("ended");
            assert!(ended.has_succeeded(), "{way}: {ended:?}");
        }
    }

    /// It must neither wait for ever nor ask without a pause.
    #[tokio::test(start_paused = true)]
    async fn a_host_whose_subscription_is_refused_after_a_cut_subscribes_again_or_says_why() {
        for is_refused_again in [false, true] {
            let mut coordinator = Indoors::new();
            let client = Client::connect(coordinator.endpoint()).await.expect("connected");
            let mut peer = coordinator.accept().await;
            let run = Host::new(client).attach(ID);
            let waiting = tokio::spawn(async move { run.wait().await });
            answer(&mut peer, "subscribe", json!({})).await;
            answer(&mut peer, "pipeline/status", info("running")).await;
            drop(peer);
            let mut peer = coordinator.accept().await;
            let renewal = peer.expect("subscribe").await;
            peer.refuse(&renewal, code::FORBIDDEN, "not now").await;
            let anew = peer.expect("subscribe").await;
            if is_refused_again {
                peer.refuse(&anew, code::FORBIDDEN, "not ever").await;
                let error = waiting.await.expect("joined").expect_err("refused");
                assert!(matches!(error, ClientError::Refused { code: code::FORBIDDEN, .. }), "{error:?}");
            } else {
                peer.reply(&anew, json!({})).await;
                answer(&mut peer, "pipeline/status", info("completed")).await;
                assert!(waiting.await.expect("joined").expect("ended").has_succeeded());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_submitted_is_created_and_started() {
        let mut coordinator = Indoors::new();
        let host = Host::new(Client::connect(coordinator.endpoint()).await.expect("connected"));
        let mut peer = coordinator.accept().await;
        let submitting = tokio::spawn(async move { host.submit(&PipelineSpec::new("p")).await });
        let created = json!({"pipeline_id": ID, "name": "p", "created_at": "2026-01-01T00:00:00.000000+00:00"});
        answer(&mut peer, "pipeline/create", created).await;
        answer(&mut peer, "pipeline/start", json!({"started_at": "2026-01-01T00:00:00.000000+00:00"})).await;
        let run = submitting.await.expect("joined").expect("submitted");
        assert_eq!(run.id(), ID);
        let missing = tokio::spawn(async move { run.result("typo").await });
        answer(&mut peer, "task/list", json!({"tasks": [], "total": 0, "limit": 0, "offset": 0})).await;
        let error = missing.await.expect("joined").expect_err("no such task");
        assert!(matches!(error, ClientError::Refused { code: code::TASK_NOT_FOUND, .. }), "{error:?}");
    }
}
