//! `everlog ps`: what is there, at a glance.

use std::io::Write;

use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::output::{self, Output, cell};
use super::server_url::ServerUrl;
use super::tasks::Counts;
use crate::client::{Client, ClientError};

/// Pipelines and agents shown unless asked for more: about two screens.
const SHOWN_DEFAULT: u32 = 50;

/// The command line of `ps`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many pipelines, the newest first, and how many agents to show
    #[arg(long, value_name = "COUNT", default_value_t = SHOWN_DEFAULT)]
    limit: u32,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    let client = Client::connect(&args.server.get()).await?;
    let pipelines = newest_pipelines(&client, args.limit).await?;
    let agents = listing(&client, "agent/list", "agents", args.limit).await?;
    client.close().await;
    match args.output {
        Output::Table => print_tables(&pipelines, &agents)?,
        Output::Json => output::print(
            &mut std::io::stdout(),
            &json!({
                "pipelines": pipelines.records, "pipelines_total": pipelines.total,
                "agents": agents.records, "agents_total": agents.total,
            }),
            Output::Json,
        )?,
        Output::Ndjson => {
            let mut out = std::io::stdout().lock();
            for (kind, list) in [("pipeline", &pipelines), ("agent", &agents)] {
                for record in &list.records {
                    writeln!(out, "{}", output::compact(&output::tagged(kind, record)))?;
                }
            }
        }
    }
    Ok(Exit::Ok)
}

/// One page of a listing, and how much there is in all.
struct Listing {
    records: Vec<Value>,
    total: u64,
}

async fn listing(client: &Client, method: &str, field: &str, limit: u32) -> Result<Listing, ClientError> {
    let answer = client.call(method, json!({"limit": limit})).await?;
    let records = answer[field].as_array().cloned().unwrap_or_default();
    Ok(Listing { records, total: answer["total"].as_u64().unwrap_or(0) })
}

/// The newest pipelines, newest first; the coordinator lists the oldest first.
async fn newest_pipelines(client: &Client, limit: u32) -> Result<Listing, ClientError> {
    let total = listing(client, "pipeline/list", "pipelines", 1).await?.total;
    let mut records = Vec::new();
    let mut offset = total.saturating_sub(u64::from(limit));
    while offset < total {
        let params = json!({"limit": limit, "offset": offset});
        let answer = client.call("pipeline/list", params).await?;
        let page = answer["pipelines"].as_array().cloned().unwrap_or_default();
        if page.is_empty() {
            break;
        }
        offset += page.len() as u64;
        records.extend(page);
    }
    records.reverse();
    Ok(Listing { records, total })
}

fn print_tables(pipelines: &Listing, agents: &Listing) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if pipelines.records.is_empty() {
        eprintln!("no pipelines yet: try `everlog run examples/iris/pipeline.yaml`");
    } else {
        let header = ["pipeline", "id", "status", "tasks", "created"];
        writeln!(out, "{}", output::table(header, pipelines.records.iter().map(pipeline_row)))?;
    }
    if agents.records.is_empty() {
        eprintln!("no agents yet: try `everlog agent --name worker`");
    } else {
        let header = ["agent", "id", "status", "capabilities", "working on"];
        writeln!(out, "{}", output::table(header, agents.records.iter().map(agent_row)))?;
    }
    for (list, what) in [(pipelines, "pipelines"), (agents, "agents")] {
        let shown = list.records.len() as u64;
        if shown < list.total {
            eprintln!("{} more {what}: see them with --limit {}", list.total - shown, list.total);
        }
    }
    Ok(())
}

fn pipeline_row(pipeline: &Value) -> [String; 5] {
    let field = |name: &str| cell(&pipeline[name]);
    [field("name"), field("id"), field("status"), Counts::of(pipeline).to_string(), field("created_at")]
}

fn agent_row(agent: &Value) -> [String; 5] {
    let field = |name: &str| cell(&agent[name]);
    let capabilities = agent["capabilities"]
        .as_array()
        .map_or_else(String::new, |all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    let working_on = match agent["current_tasks"].as_array() {
        Some(tasks) if tasks.len() > 1 => format!("{} tasks", tasks.len()),
        Some(_) | None => field("current_task"),
    };
    [field("name"), field("id"), field("status"), capabilities, working_on]
}
