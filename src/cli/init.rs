//! `trueup init`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, FromArgMatches};

use super::files::{self, Existing, Readers};
use super::flags::Usage;
use super::wiring::init::{self, Asked, Given};
use super::{Context, Exit};
use crate::strategies::Refused;

/// Write a first playbook by looking at both databases and the broker
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    places: Places,
    /// A table of the read store; may be repeated. Default: every one that a source can be found for
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// The file to write; it must not exist. `-` is stdout
    #[arg(long, value_name = "FILE", default_value = "playbook.yaml")]
    out: PathBuf,
}

/// What a flag or the environment gives; which of the two makes a difference to secrets.
#[derive(Debug)]
struct Places {
    primary: Option<Given>,
    read_store: Option<Given>,
    brokers: Option<Given>,
}

impl clap::Args for Places {
    fn augment_args(command: clap::Command) -> clap::Command {
        let place = |name, value, variable, help| {
            Arg::new(name)
                .long(name)
                .value_name(value)
                .env(variable)
                .hide_env_values(true)
                .help(help)
        };
        command
            .arg(place(
                "primary",
                "URL",
                "PRIMARY_URL",
                "The system of record. A URL with a password belongs into the variable; '${NAME}' names another one",
            ))
            .arg(place(
                "read-store",
                "URL",
                "READ_STORE_URL",
                "The database that holds the read tables, likewise",
            ))
            .arg(place(
                "brokers",
                "LIST",
                "KAFKA_BROKERS",
                "Kafka's brokers, to look topics up; without them topics are guessed",
            ))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Places {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |name| {
            let text = matches.get_one::<String>(name)?.clone();
            let typed = matches.value_source(name) == Some(ValueSource::CommandLine);
            Some(Given { text, typed })
        };
        Ok(Places {
            primary: given("primary"),
            read_store: given("read-store"),
            brokers: given("brokers"),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit> {
    // A URL in the wrong place may hold a password, which a message would repeat.
    let names = args.table.iter().map(String::as_str);
    if names
        .chain(args.out.to_str())
        .any(|name| name.contains("://"))
    {
        let problem = "--table and --out take names; a URL goes to --primary or --read-store";
        return Err(Usage(problem.to_owned()).into());
    }
    let need = |given: Option<Given>, flag: &str, variable: &str| {
        given
            .filter(|given| !given.text.is_empty())
            .ok_or_else(|| Usage(format!("{flag} is missing; give it, or set {variable}")))
    };
    let primary = need(args.places.primary, "--primary", "PRIMARY_URL")?;
    let read_store = need(args.places.read_store, "--read-store", "READ_STORE_URL")?;
    let brokers = args.places.brokers.filter(|given| !given.text.is_empty());
    let to_stdout = args.out.as_os_str() == "-";
    let file = if to_stdout {
        Path::new("playbook.yaml")
    } else {
        must_not_exist(&args.out)?;
        &args.out
    };
    let drafted = init::draft(&Asked {
        primary: &primary,
        read_store: &read_store,
        brokers: brokers.as_ref(),
        tables: &args.table,
        file,
    })
    .await?;
    if to_stdout {
        context.print(&drafted.text)?;
    } else {
        write(file, &drafted.text)?;
        context.say(&format!("wrote {}", file.display()));
    }
    for line in &drafted.found {
        context.say(&format!("  {line}"));
    }
    for line in &drafted.guessed {
        context.say(&format!("  guessed: {line}"));
    }
    for line in &drafted.questions {
        context.say(&format!("  to decide: {line}"));
    }
    if !drafted.usable {
        context.say("no view can be used as it stands; the file says why and what to change");
    }
    let save = if to_stdout { "save it, then " } else { "" };
    context.say(&format!("next: {save}{}", drafted.next));
    Ok(Exit::Done)
}

fn must_not_exist(file: &Path) -> Result<(), Refused> {
    match fs::symlink_metadata(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(cannot_write(file, &e)),
        Ok(_) => Err(exists(file)),
    }
}

fn write(file: &Path, text: &str) -> Result<(), Refused> {
    let written = files::write(file, text, Readers::All, Existing::Stays);
    written.map_err(|e| match e.kind() {
        // Somebody made it while the databases were looked at.
        std::io::ErrorKind::AlreadyExists => exists(file),
        _ => cannot_write(file, &e),
    })
}

fn exists(file: &Path) -> Refused {
    Refused::because(format!(
        "{} exists already and was not touched; name another file with --out, or remove it",
        file.display()
    ))
}

fn cannot_write(file: &Path, error: &std::io::Error) -> Refused {
    Refused::because(format!(
        "{} cannot be written: {error}; name another file with --out",
        file.display()
    ))
}
