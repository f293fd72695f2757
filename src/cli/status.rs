//! `everlog status`: all that matters about one pipeline, task or agent.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::color::Tone;
use super::exit::{Exit, Trouble};
use super::grid::{self, Look};
use super::list::{Ask, agents, ps, short, tasks as task_list};
use super::output::{self, Output};
use super::remote::{self, Remote};
use super::resolve::{self, Sort};
use super::server_url::ServerUrl;
use super::tasks::Counts;
use super::{terminal, when};

const EXAMPLES: &str = "Examples:
  everlog status iris             a pipeline
  everlog status iris/train       a task
  everlog status worker           an agent
  everlog status @last --output json";

/// Tasks named in each part of the view of a pipeline.
const NAMED_MAX: usize = 5;

/// The command line of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A pipeline, task or agent: name, id or a part of it, PIPELINE/TASK, or @last
    #[arg(value_name = "NAME")]
    what: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: ServerUrl,
}

pub(super) async fn run(args: Args) -> Result<Exit, Trouble> {
    remote::with(&args.server, async |remote| {
        let (sort, record) = resolve::any(remote, &args.what).await?;
        if args.output != Output::Table {
            output::print(&mut std::io::stdout(), &record, args.output)?;
            return Ok(Exit::Ok);
        }
        let mut view = View { text: String::new(), now: when::now(), look: Look::of_stdout() };
        match sort {
            Sort::Pipeline => view.pipeline(remote, &record).await?,
            Sort::Task => view.task(&record),
            Sort::Agent => view.agent(&record),
        }
        super::say(view.text.trim_end())?;
        Ok(Exit::Ok)
    })
    .await
}

/// The text as it grows.
pub(super) struct View {
    pub(super) text: String,
    pub(super) now: Timestamp,
    pub(super) look: Look,
}

impl View {
    /// `iris  running  pipeline 5c0ffee1-…`
    fn title(&mut self, record: &Value, status: &str, what: &str) {
        let name = terminal::one_line(record["name"].as_str().unwrap_or_default());
        let id = terminal::one_line(record["id"].as_str().unwrap_or_default());
        let status = Tone::of(status).paint(&terminal::one_line(status), self.look.colors);
        let _ =
            writeln!(self.text, "{name}  {status}  {}", Tone::Quiet.paint(&format!("{what} {id}"), self.look.colors));
    }

    /// One fact a line; nothing where there is nothing to say.
    fn fact(&mut self, name: &str, value: impl AsRef<str>) {
        if !value.as_ref().is_empty() {
            let _ = writeln!(self.text, "  {name:<13} {}", terminal::one_line(value.as_ref()));
        }
    }

    fn time(&mut self, name: &str, record: &Value, field: &str) {
        let told = when::moment(&record[field]).map(|then| when::ago(then, self.now)).unwrap_or_default();
        self.fact(name, told);
    }

    async fn pipeline(&mut self, remote: &Remote, pipeline: &Value) -> Result<(), Trouble> {
        self.pipeline_head(pipeline);
        for (status, title) in [("failed", "failed"), ("running", "running"), ("assigned", "about to run")] {
            let count = pipeline["metrics"][format!("tasks_{status}")].as_u64().unwrap_or(0);
            if count > 0 {
                let filters = json!({"pipeline_id": pipeline["id"], "status": status});
                let named = Ask { limit: Some(NAMED_MAX), ..Ask::new("task/list", "tasks", filters) };
                self.named(title, &named.all(remote).await?, count);
            }
        }
        Ok(())
    }

    pub(super) fn pipeline_head(&mut self, pipeline: &Value) {
        let (text, counts) = (|field: &str| pipeline[field].as_str().unwrap_or_default(), Counts::of(pipeline));
        self.title(pipeline, ps::status(pipeline), "pipeline");
        let _ = writeln!(self.text, "{}", grid::with_bar(&format!("  {counts}"), counts.part(), self.look));
        self.time("created", pipeline, "created_at");
        self.time("started", pipeline, "started_at");
        self.time("ended", pipeline, "completed_at");
        self.fact("took", when::span(pipeline, self.now).unwrap_or_default());
        let adaptive = text("strategy") != text("mode") && pipeline["started_at"].is_string();
        self.fact(
            "strategy",
            if adaptive { format!("{}, now {}", text("strategy"), text("mode")) } else { text("strategy").to_owned() },
        );
        self.fact("retry of", short(&pipeline["config"]["retry_of"]));
        self.fact("error", pipeline["error_info"]["message"].as_str().unwrap_or_default());
    }

    pub(super) fn named(&mut self, title: &str, tasks: &[Value], count: u64) {
        let tone = Tone::of(title);
        let _ = writeln!(self.text, "\n{}", tone.paint(title, self.look.colors));
        for task in tasks {
            let name = terminal::one_line(task["name"].as_str().unwrap_or_default());
            let took = when::span(task, self.now).map(|took| format!("  {took}")).unwrap_or_default();
            let note = terminal::one_line(&task_list::note(task));
            let _ = writeln!(self.text, "{}", format!("  {name}{took}  {note}").trim_end());
        }
        let more = count.saturating_sub(tasks.len() as u64);
        if more > 0 {
            let _ = writeln!(self.text, "  … and {more} more");
        }
    }

    pub(super) fn task(&mut self, task: &Value) {
        self.title(task, task["status"].as_str().unwrap_or_default(), "task");
        self.fact("pipeline", short(&task["pipeline_id"]));
        self.fact("agent", task["assigned_agent"].as_str().unwrap_or_default());
        self.time("created", task, "created_at");
        self.time("started", task, "started_at");
        self.time("ended", task, "completed_at");
        self.fact("took", when::span(task, self.now).unwrap_or_default());
        self.fact(
            "attempt",
            task["attempt"].as_u64().filter(|attempt| *attempt > 0).map(|n| n.to_string()).unwrap_or_default(),
        );
        let waiting = task["waiting_for"].as_u64().filter(|count| *count > 0);
        self.fact("waits for", waiting.map(|count| format!("{count} tasks")).unwrap_or_default());
        self.fact("retry of", short(&task["retry_of"]));
        self.fact("progress", task_list::progress(task).unwrap_or_default());
        self.fact("command", command(task));
        self.fact("error", task["error_info"]["message"].as_str().unwrap_or_default());
        if task["status"] == "completed" {
            self.fact("result", terminal::shortened(&output::compact(&task["result"]), grid::CELL_COLUMNS_MAX));
        }
    }

    pub(super) fn agent(&mut self, agent: &Value) {
        self.title(agent, agent["status"].as_str().unwrap_or_default(), "agent");
        self.fact("capabilities", agents::capabilities(agent));
        self.fact("slots", format!("{} busy", agents::busy(agent)));
        self.time("registered", agent, "registered_at");
        self.time("heard", agent, "last_active");
        self.fact("attempts", format!("{} completed, {} failed", agent["tasks_completed"], agent["tasks_failed"]));
        self.fact("score", agent["performance_score"].as_f64().map(|score| format!("{score:.2}")).unwrap_or_default());
        let tasks = agent["current_tasks"].as_array().into_iter().flatten().map(short);
        self.fact("works on", tasks.collect::<Vec<_>>().join(" "));
    }
}

/// The program and its arguments.
fn command(task: &Value) -> String {
    let words = task["config"]["command"].as_array().into_iter().flatten().filter_map(Value::as_str);
    terminal::shortened(&words.collect::<Vec<_>>().join(" "), grid::CELL_COLUMNS_MAX)
}
