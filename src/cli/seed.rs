//! `contactd seed`: writes generated contacts into a user's mailbox.

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::arguments::{AnyDatabase, user_name};
use crate::cli::output::{print_line, reason};
use crate::domain::user::UserName;
use crate::seed::{Generator, MIXED};
use crate::store::{Database, Options, Store};
use crate::transfer::seeding;

/// Most contacts at once: what a mailbox may have by default.
const MAX_CONTACTS: u64 = 1_000_000;

/// Options of `contactd seed`.
#[derive(Debug, Args)]
#[command(after_help = "\
The same --seed generates the same contacts on every machine. A higher --count adds contacts to the same first ones. Names, \
numbers and addresses are fictitious: phone numbers are in ranges that no subscriber has, e-mail addresses are below \
example.com, example.net and example.org.")]
pub struct SeedArgs {
    #[command(flatten)]
    at: AnyDatabase,

    /// The user whose mailbox receives them; created if missing
    #[arg(long, value_parser = user_name, value_name = "NAME")]
    user: UserName,

    /// Number of contacts
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_CONTACTS))]
    count: u64,

    /// Number from which the contacts are generated
    #[arg(long = "seed", default_value_t = 1, value_name = "N")]
    number: u64,

    /// Languages, as codes separated by commas, such as en,de,ja; or mixed for all
    #[arg(long, default_value = MIXED, value_name = "CODES")]
    locale: String,

    /// Percentage of contacts that have a photo
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u16).range(0..=100))]
    photos: u16,

    /// Generate no duplicates; by default one contact in a hundred is a duplicate of another
    #[arg(long)]
    no_duplicates: bool,
}

/// Fills the mailbox, with a progress bar on a terminal, and prints how many contacts were made.
///
/// # Errors
/// One line that says why.
pub async fn run(config: SeedArgs) -> Result<(), String> {
    let generator =
        Generator::new(config.number, &config.locale).map_err(|expected| format!("--locale: {expected}"))?;
    let generator = generator.with_photos(10 * config.photos);
    let generator = if config.no_duplicates { generator.without_duplicates() } else { generator };
    let database = config.at.get()?;
    // Unlike an import, it may begin a new file; the schema of one that is there is upgraded by `contactd serve` only.
    let is_new = matches!(&database, Database::File(path) if !path.exists());
    let options = Options { upgrade: is_new, ..Options::default() };
    let store = Store::open(&database, options).await.map_err(|error| error.to_string())?;
    let done = fill(&store, &config, &generator).await;
    store.close().await;
    done
}

async fn fill(store: &Store, config: &SeedArgs, generator: &Generator) -> Result<(), String> {
    let user = store.user(&config.user).await.map_err(reason)?;
    let store = store.with_operator(user.mailbox, "seed");
    let bar = ProgressBar::new(config.count);
    let style = ProgressStyle::with_template("{bar:40} {percent:>3}% {pos}/{len} contacts, {eta} to go");
    bar.set_style(style.map_err(|error| error.to_string())?);
    let done = seeding::fill(&store, user.mailbox, generator, config.count, |made| bar.inc(made)).await;
    let made = bar.position();
    bar.finish_and_clear();
    match done {
        Ok(_) => print_line(&format!("created {made} contacts in the mailbox of {}", user.id)),
        Err(error) if made > 0 => return Err(format!("{}; {made} contacts were created before", reason(error))),
        Err(error) => return Err(reason(error)),
    }
    Ok(())
}
