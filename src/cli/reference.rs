//! The reference of the command line, `docs/cli.md`, made from the command line itself.
//! `EVERLOG_BLESS=1 cargo test --lib cli::reference` writes it anew.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command};

use super::exit::Exit;

const HEAD: &str = "# The command line

Made from the program's own help (`EVERLOG_BLESS=1 cargo test --lib cli::reference`); a test keeps the two alike.

Data goes to stdout, messages to stderr. Times are relative in tables and ISO 8601 in `json` and `ndjson`, whose records are those
of the [protocol](protocol.md#records). `NO_COLOR` and `--color` say whether there are colours; text from clients never steers the
terminal. A table is as wide as the terminal; in a file or a pipe nothing is cut off below 120 characters a cell. A long
listing is printed as it comes, page by page; only a cell wider than those before it moves the columns.

**Records.** `--output json` is one document for the whole command, `ndjson` a record a line, as it happens. Verbs that take several
things print what listings print, `{\"pipelines\": [record, …]}`, with the records as they are afterwards (`delete`: as they were);
what could not be done stands among them as `{\"name\": …, \"error\": {\"code\", \"message\"}}`, where `code` is the exit code of that
one. `submit` prints the record of the pipeline, with `--wait` what `watch` does. `retry` prints
`{\"retries\": [{id, name, status, pipeline_id, task_ids}]}`: what was retried, and what runs instead. `wait` prints
the records at the end, with `error` where the time was over; `watch` prints the last record, or with `ndjson` each task and pipeline
that has changed, with its `kind`. What is told beside records is on stderr.

**What things are called.** A pipeline, a task or an agent goes by its id, by the beginning or the end of that (4 characters at
least; the tables show the end, since ids of one time begin alike), or by its name. `@last` is the newest pipeline, `PIPELINE/TASK` a
task of a pipeline. What could be several is never guessed: the candidates are named, with exit code 2.

**Which coordinator.** `--server ws://HOST:PORT`, else `MCP_SERVER_HOST` and `MCP_SERVER_PORT` (or the other variables of
`server.host` and `server.port`), else `ws://localhost:8700`. The configuration file is the server's alone. One that is not there is exit code 69 at once; `watch` and `wait` outlive its restart once they have begun.
";

/// The page.
fn page(mut command: Command) -> String {
    command = command.disable_help_subcommand(true).term_width(100);
    command.build();
    let mut page = HEAD.to_owned();
    let _ = write!(page, "\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (exit, meaning) in Exit::TABLE {
        let _ = writeln!(page, "| {} | {meaning} |", exit as u8);
    }
    flags_of_all(&mut page, &command);
    let _ = writeln!(page, "\n## Verbs\n");
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = verb.get_name();
        let _ = writeln!(
            page,
            "[`{name}`](#everlog-{name}) · {}  ",
            verb.get_about().map(ToString::to_string).unwrap_or_default()
        );
    }
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        section(&mut page, verb, "everlog");
    }
    page
}

/// The flags that are not told again with each verb.
fn flags_of_all(page: &mut String, command: &Command) {
    let submit = command.find_subcommand("submit").into_iter().flat_map(Command::get_arguments);
    let shared: Vec<&Arg> = submit.filter(|arg| SHARED.contains(&arg.get_id().as_str())).collect();
    let _ = write!(page, "\n## Flags of every client verb\n\n| flag | meaning |\n|---|---|\n");
    for arg in shared {
        let _ = writeln!(page, "| {} | {} |", called(arg), about_arg(arg));
    }
    let _ = writeln!(page, "\nVerbs that talk to no coordinator have no `--server`.");
}

/// The flags of every client verb, by their ids.
const SHARED: [&str; 5] = ["url", "color", "log_format", "help", "version"];

fn section(page: &mut String, verb: &Command, parent: &str) {
    let name = format!("{parent} {}", verb.get_name());
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = verb.clone().render_usage().to_string();
    let _ = write!(page, "\n### {name}\n\n{about}.\n\n```text\n{}\n```\n", usage.trim_start_matches("Usage: "));
    let shown: Vec<&Arg> = verb.get_arguments().filter(|arg| is_own(arg)).collect();
    if !shown.is_empty() {
        let _ = write!(page, "\n| argument | meaning |\n|---|---|\n");
    }
    for arg in shown {
        let _ = writeln!(page, "| {} | {} |", called(arg), about_arg(arg));
    }
    if let Some(examples) = verb.get_after_help() {
        let _ = write!(page, "\n```text\n{examples}\n```\n");
    }
    for inner in verb.get_subcommands() {
        section(page, inner, &name);
    }
}

/// What every verb has is told once, above.
fn is_own(arg: &Arg) -> bool {
    !arg.is_hide_set() && !SHARED.contains(&arg.get_id().as_str())
}

/// `` `-q`, `--quiet` `` or `` `PIPELINE…` ``.
fn called(arg: &Arg) -> String {
    let value = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    let takes = arg.get_action().takes_values();
    let Some(long) = arg.get_long() else {
        let many = if arg.get_num_args().is_some_and(|range| range.max_values() > 1) { "…" } else { "" };
        return format!("`{value}{many}`");
    };
    let short = arg.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    if takes { format!("{short}`--{long} {value}`") } else { format!("{short}`--{long}`") }
}

fn about_arg(arg: &Arg) -> String {
    let mut about = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let possible: Vec<String> = match arg.get_action().takes_values() && !arg.is_hide_possible_values_set() {
        true => arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect(),
        false => Vec::new(),
    };
    if !possible.is_empty() {
        let _ = write!(about, ": {}", possible.join(", "));
    }
    if let Some(default) = arg.get_default_values().first().filter(|_| arg.get_action().takes_values()) {
        let _ = write!(about, " [default: {}]", default.to_string_lossy());
    }
    about.trim_start_matches(": ").replace('|', "\\|")
}

#[test]
fn the_reference_is_that_of_this_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let found = page(super::command());
    if std::env::var_os("EVERLOG_BLESS").is_some() {
        std::fs::write(&path, &found).expect("the page can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the page is there");
    for (line, (expected, found)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(expected, found, "docs/cli.md, line {}; EVERLOG_BLESS=1 writes it anew", line + 1);
    }
    assert_eq!(expected, found);
}

#[test]
fn every_verb_says_what_it_is_for_and_gives_examples() {
    for verb in super::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = verb.get_name();
        assert!(verb.get_about().is_some_and(|about| !about.to_string().is_empty()), "{name}");
        let example = |verb: &Command| verb.get_after_help().is_some_and(|help| help.to_string().contains("everlog "));
        assert!(
            example(verb) || verb.get_subcommands().all(example) && verb.has_subcommands(),
            "{name} has no examples"
        );
        for verb in std::iter::once(verb).chain(verb.get_subcommands()) {
            for arg in verb.get_arguments().filter(|arg| is_own(arg)) {
                assert!(arg.get_help().is_some(), "{name} {} {}", verb.get_name(), arg.get_id());
            }
        }
    }
}

#[test]
fn the_command_line_is_sound() {
    super::command().debug_assert();
}
