//! Verbs that take several things at once: one line each, and the exit code of the worst.

use super::exit::{Exit, Trouble};
use super::remote::Remote;

/// Does `work` with each of `names` and prints its line. What goes wrong with one is told and does not keep back the others,
/// unless it is the coordinator that is gone.
pub(super) async fn each(
    remote: &Remote,
    names: &[String],
    work: impl AsyncFn(&Remote, &str) -> Result<String, Trouble>,
) -> Result<Exit, Trouble> {
    let mut worst = Exit::Ok;
    for name in names {
        match work(remote, name).await {
            Ok(line) => super::say(&line)?,
            Err(trouble) if trouble.exit() == Exit::Unreachable || names.len() == 1 => return Err(trouble),
            Err(trouble) => worst = worst.max(super::tell(trouble)),
        }
    }
    Ok(worst)
}
