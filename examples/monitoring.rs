//! Watches a coordinator at work: what its pipelines, tasks and machine say, as it happens.
//!
//! ```sh
//! cargo run --example monitoring                       # a coordinator in this process, with something to do
//! cargo run --example monitoring ws://localhost:8700   # whatever goes on there, until Ctrl-C
//! ```

use std::error::Error;
use std::time::Duration;

use everlog::api::{PipelineSpec, TaskSpec};
use everlog::{
    Agent, AgentConfig, Assignment, CancelToken, Client, Coordinator, Host, Notification, Subscription, TaskContext,
    Update,
};
use serde_json::Value;

const TOPICS: [&str; 4] = ["pipeline/*", "task/*", "monitoring/*", "server/heartbeat"];

/// One line for what was said.
fn line(Notification { method, params, .. }: &Notification) -> String {
    let number = |field: &str| params[field].as_f64().map_or("?".to_owned(), |number| format!("{number:.1}"));
    let text = |field: &str| params[field].as_str().unwrap_or("?").to_owned();
    match method.as_str() {
        "monitoring/system_metrics" => {
            format!("machine    cpu {} %, memory {} %", number("cpu_percent"), number("memory_percent"))
        }
        "task/progress" => format!(
            "progress   {:>3.0} %  {}",
            100.0 * params["progress"].as_f64().unwrap_or(0.0),
            params["details"]["message"]
        ),
        "task/changed" => format!("task       {} is {}", text("name"), text("status")),
        "server/heartbeat" => "heartbeat".to_owned(),
        method if method.starts_with("pipeline/") => {
            format!("pipeline   {} {}", text("name"), &method["pipeline/".len()..])
        }
        other => format!("{other} {params}"),
    }
}

/// Prints what is heard until `done` says so.
async fn watch(mut updates: Subscription, done: impl Fn(&Notification) -> bool) {
    while let Some(update) = updates.next().await {
        match update {
            Update::Notification(notification) => {
                println!("{}", line(&notification));
                if done(&notification) {
                    return;
                }
            }
            Update::Resumed => println!("(the connection was lost and is back)"),
            Update::Ended { reason, .. } => println!("(the coordinator tells no more: {reason})"),
            Update::Missed(count) => println!("({count} updates were missed: too fast for this terminal)"),
            other => println!("({other:?})"),
        }
    }
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
    watch(updates, |notification| notification.method == "pipeline/completed").await;
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
        () = watch(updates, |_| false) => {}
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    Ok(())
}
