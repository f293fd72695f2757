//! Watches a coordinator at work: what its pipelines, tasks and machine say, as it happens.
//!
//! ```sh
//! cargo run --example monitoring                       # a coordinator in this process, with something to do
//! cargo run --example monitoring ws://localhost:8700   # whatever goes on there, until Ctrl-C
//! ```

use std::error::Error;
use std::time::Duration;

use everlog::api::{Event, PipelineChange, PipelineSpec, TaskSpec};
use everlog::{
    Agent, AgentConfig, Assignment, CancelToken, Client, ClientError, Coordinator, Host, Notification, Subscription,
    TaskContext, Update,
};
use serde_json::Value;

const TOPICS: [&str; 4] = ["pipeline/*", "task/*", "monitoring/*", "server/heartbeat"];

/// One line for what was said.
fn line(event: &Event, Notification { method, params, .. }: &Notification) -> String {
    let percent = |figure: Option<f64>| figure.map_or("?".to_owned(), |figure| format!("{figure:.1}"));
    match event {
        Event::SystemMetrics(machine) => {
            format!("machine    cpu {} %, memory {} %", percent(machine.cpu_percent), percent(machine.memory_percent))
        }
        Event::TaskProgress(task) => {
            format!("progress   {:>3.0} %  {}", 100.0 * task.progress, task.details["message"])
        }
        Event::TaskChanged(task) => format!("task       {} is {}", task.name, task.status),
        Event::Heartbeat(_) => "heartbeat".to_owned(),
        Event::Pipeline(change, pipeline) => format!("pipeline   {} {change}", pipeline.name),
        Event::Hook(_) | Event::Other | _ => format!("{method} {params}"),
    }
}

/// Prints what is heard until `done` says so.
async fn watch(mut updates: Subscription, done: impl Fn(&Event) -> bool) -> Result<(), ClientError> {
    while let Some(update) = updates.next().await {
        match update {
            Update::Notification(notification) => {
                let event = notification.event()?;
                println!("{}", line(&event, &notification));
                if done(&event) {
                    break;
                }
            }
            Update::Resumed => println!("(the connection was lost and is back)"),
            Update::Ended { reason, .. } => println!("(the coordinator tells no more: {reason})"),
            Update::Missed(count) => println!("({count} updates were missed: too fast for this terminal)"),
            other => println!("({other:?})"),
        }
    }
    Ok(())
}

/// Works for a second, in steps that are told.
async fn work(task: Assignment, context: TaskContext) -> Value {
    const STEPS: u32 = 4;
    for step in 1..=STEPS {
        tokio::time::sleep(Duration::from_millis(250)).await;
        context.progress(f64::from(step) / f64::from(STEPS), &format!("{}: step {step} of {STEPS}", task.name));
    }
    Value::Null
}

async fn a_demonstration() -> Result<(), Box<dyn Error>> {
    let coordinator = Coordinator::builder().system_interval(Duration::from_millis(500)).open().await?;
    let leave = CancelToken::new();
    let config = AgentConfig::new(&coordinator, "worker").slots(2);
    let agent = tokio::spawn(Agent::new(config, work).run(leave.clone()));

    let client = coordinator.client().await?;
    let updates = client.subscribe(TOPICS).await?;
    let spec = PipelineSpec::new("demonstration")
        .task(TaskSpec::new("prepare"))
        .task(TaskSpec::new("left").depends_on(["prepare"]))
        .task(TaskSpec::new("right").depends_on(["prepare"]));
    let run = Host::new(client).submit(&spec).await?;
    watch(updates, |event| matches!(event, Event::Pipeline(PipelineChange::Completed, _))).await?;
    println!("{:?}", run.status().await?.metrics);

    leave.cancel();
    agent.await??;
    coordinator.close().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Some(server) = std::env::args().nth(1) else { return a_demonstration().await };
    let updates = Client::connect(server).await?.subscribe(TOPICS).await?;
    tokio::select! {
        ended = watch(updates, |_| false) => ended?,
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    Ok(())
}
