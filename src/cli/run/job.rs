//! What a run has to do: one new pipeline, or all that were left unfinished.

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::{Value, json};

use super::{Args, Ended, summary, watch};
use crate::cli::exit::Trouble;
use crate::cli::list::Ask;
use crate::cli::remote::Remote;
use crate::cli::steer;
use crate::cli::tasks;
use crate::cli::terminal;
use crate::cli::watch::Screen;
use crate::client::{Client, ClientError};
use crate::pipeline_file::PipelineFile;
use crate::submission::{self, Submission};

/// The pipelines of a run, and what an agent needs to be able to do for them.
#[derive(Debug)]
pub(super) struct Job {
    work: Work,
    capabilities: BTreeSet<String>,
}

#[derive(Debug)]
enum Work {
    New(Submission),
    Unfinished(Vec<Pipeline>),
}

/// A pipeline that is watched.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) id: String,
    pub(super) name: String,
    /// The method that sets it going again; `None` while it runs.
    wants: Option<&'static str>,
}

impl Job {
    /// What the file says, or without one what is unfinished; `None` if that is nothing.
    pub(super) async fn find(client: &Client, file: Option<PipelineFile>) -> Result<Option<Self>, ClientError> {
        if let Some(PipelineFile { submission, capabilities }) = file {
            return Ok(Some(Self { work: Work::New(submission), capabilities }));
        }
        let pipelines = unfinished(client).await?;
        let mut capabilities = BTreeSet::new();
        for pipeline in &pipelines {
            capabilities.extend(required(client, &pipeline.id).await?);
        }
        let any = !pipelines.is_empty();
        Ok(any.then_some(Self { work: Work::Unfinished(pipelines), capabilities }))
    }

    pub(super) fn take_capabilities(&mut self) -> Vec<String> {
        std::mem::take(&mut self.capabilities).into_iter().collect()
    }

    /// Starts everything and watches it to its end.
    pub(super) async fn run(self, client: &Client, args: &Args, out: &mut impl Write) -> Result<Ended, Trouble> {
        let pipelines = match self.work {
            Work::New(submission) => vec![start(client, &submission).await?],
            Work::Unfinished(pipelines) => {
                for pipeline in &pipelines {
                    if let Some(method) = pipeline.wants {
                        client.call(method, json!({"pipeline_id": pipeline.id})).await?;
                    }
                }
                pipelines
            }
        };
        let topics: Vec<String> = pipelines.iter().map(|pipeline| format!("pipeline:{}", pipeline.id)).collect();
        let mut subscription = client.subscribe(topics).await?;
        let mut ended = Ended::AllWell;
        for pipeline in &pipelines {
            let mut screen = Screen::new();
            let info = watch::until_ended(client, &mut subscription, &pipeline.id, &mut screen).await?;
            screen.finish();
            if !summary::print(out, client, &info, &args.data, args.output).await? {
                ended = Ended::SomeFailed;
            }
        }
        Ok(ended)
    }
}

async fn start(client: &Client, submission: &Submission) -> Result<Pipeline, Trouble> {
    let id = Remote::of(client).submit(submission).await?["pipeline_id"].take();
    client.call("pipeline/start", json!({"pipeline_id": id})).await?;
    crate::cli::hint(&steer::made(&id, submission, "started"));
    let id = id.as_str().unwrap_or_default().to_owned();
    Ok(Pipeline { id, name: submission.name().to_owned(), wants: None })
}

/// Every pipeline that has not ended, with what sets it going: an idle one was cut off between its creation and its start.
async fn unfinished(client: &Client) -> Result<Vec<Pipeline>, ClientError> {
    let mut found = Vec::new();
    let going =
        [("idle", Some("pipeline/start")), ("running", None), ("paused", Some("pipeline/resume")), ("stopping", None)];
    for (status, wants) in going {
        let ask = Ask::new("pipeline/list", "pipelines", json!({"status": status}));
        let all = ask.all(&Remote::of(client)).await?;
        let (whole, half_made): (Vec<_>, Vec<_>) = all.iter().partition(|info| submission::is_whole(info));
        half_made.iter().for_each(|info| crate::cli::hint(&not_resumed(info)));
        found.extend(whole.into_iter().map(|info| pipeline(info, wants)));
    }
    Ok(found)
}

/// A pipeline whose author was cut off before all of its tasks were there.
fn not_resumed(info: &Value) -> String {
    let Pipeline { id, name, .. } = pipeline(info, None);
    let name = terminal::one_line(&name);
    format!(
        "pipeline {name} is left alone: its run ended before all of its tasks were created; delete {id}, and run its file again"
    )
}

fn pipeline(info: &Value, wants: Option<&'static str>) -> Pipeline {
    let text = |field: &str| info[field].as_str().unwrap_or_default().to_owned();
    Pipeline { id: text("id"), name: text("name"), wants }
}

/// What the unfinished tasks of a pipeline require.
async fn required(client: &Client, pipeline_id: &str) -> Result<BTreeSet<String>, ClientError> {
    let mut required = BTreeSet::new();
    for status in ["pending", "assigned", "running"] {
        for task in tasks::list(client, pipeline_id, Some(status), usize::MAX).await? {
            let capabilities = task.config["required_capabilities"].as_array().cloned();
            let names = capabilities.into_iter().flatten();
            required.extend(names.filter_map(|name| name.as_str().map(str::to_owned)));
        }
    }
    Ok(required)
}
