//! `everlog completions` and `everlog man`: what a shell and `man` want to know of the command line.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Command, ValueEnum, ValueHint};
use clap_complete::generate;
use clap_complete::shells;
use clap_mangen::Man;

use super::exit::{Exit, Trouble};

const COMPLETIONS: &str = "Examples:
  everlog completions bash > ~/.local/share/bash-completion/completions/everlog
  everlog completions zsh > ~/.zfunc/_everlog
  everlog completions fish > ~/.config/fish/completions/everlog.fish";

const MAN: &str = "Examples:
  everlog man | man -l -
  everlog man submit | man -l -
  everlog man memory get | man -l -
  everlog man --dir ~/.local/share/man/man1";

/// The command line of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS)]
pub(super) struct Completions {
    /// The shell that is to complete commands
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The command line of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = MAN)]
pub(super) struct Manual {
    /// The verb whose page is wanted, in one word or two [default: the page of everlog itself]
    verb: Vec<String>,
    /// Write the pages of all verbs into this directory
    #[arg(long, conflicts_with = "verb", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

pub(super) fn completions(args: &Completions, mut command: Command) -> Result<Exit, Trouble> {
    let mut script = Vec::new();
    match args.shell {
        Shell::Bash => {
            generate(shells::Bash, &mut command, "everlog", &mut script);
            script = with_files(&command, String::from_utf8_lossy(&script).into_owned()).into_bytes();
        }
        Shell::Zsh => generate(shells::Zsh, &mut command, "everlog", &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, "everlog", &mut script),
    }
    io::stdout().write_all(&script)?;
    Ok(Exit::Ok)
}

/// The script for bash, with files where a verb takes one: `clap_complete` has only flags to offer there. What begins with no
/// dash is no flag, and where a function has nothing to offer, bash looks for files by itself.
fn with_files(command: &Command, script: String) -> String {
    verbs_of_files(command, "everlog").iter().fold(script, |script, verb| {
        let begins = format!("        {verb})\n            ");
        script.replace(&format!("{begins}opts="), &format!("{begins}[[ ${{cur}} == -* ]] && opts="))
    })
}

/// The verbs that take a file, as the script calls them.
fn verbs_of_files(command: &Command, called: &str) -> Vec<String> {
    let takes_file = command.get_positionals().any(|arg| arg.get_value_hint() == ValueHint::FilePath);
    let inner = command.get_subcommands();
    let inner = inner.flat_map(|verb| verbs_of_files(verb, &format!("{called}__subcmd__{}", verb.get_name())));
    takes_file.then(|| called.to_owned()).into_iter().chain(inner).collect()
}

pub(super) fn man(args: &Manual, mut command: Command) -> Result<Exit, Trouble> {
    if let Some(dir) = &args.dir {
        return pages(command, dir).map(|()| Exit::Ok).map_err(|error| {
            Trouble::Failed(format!(
                "the pages cannot be written to {}: {error}; name another directory",
                dir.display()
            ))
        });
    }
    command = command.disable_help_subcommand(true);
    command.build();
    let mut page = &command;
    for verb in &args.verb {
        page = page.find_subcommand(verb).ok_or_else(|| {
            let listed = page.get_display_name().unwrap_or(page.get_name()).replace('-', " ");
            Trouble::Usage(format!("there is no verb `{verb}`; `{listed} --help` lists them"))
        })?;
    }
    Man::new(page.clone()).render(&mut io::stdout())?;
    if args.verb.is_empty() {
        super::say_raw(&exit_status())?;
    }
    Ok(Exit::Ok)
}

/// Writes the pages of all verbs into `dir`.
fn pages(command: Command, dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let first = dir.join(Man::new(command.clone()).get_filename());
    clap_mangen::generate_to(command, dir)?;
    OpenOptions::new().append(true).open(first)?.write_all(exit_status().as_bytes())
}

/// The section of a manual page that lists the exit codes: `clap_mangen` knows of none.
fn exit_status() -> String {
    let paragraph = |(exit, meaning): (Exit, &str)| {
        let meaning = meaning.replace('-', r"\-");
        format!(".TP\n\\fB{}\\fR\n{meaning}\n", exit as u8)
    };
    format!(".SH \"EXIT STATUS\"\n{}", Exit::TABLE.map(paragraph).concat())
}
