//! Room for connections among the files that this process may open. Were there none left, the log could not open its next segment,
//! and the coordinator would end as on a disk that fails; so connections never get that far.

use super::limits::{FILES_MAX, HANDSHAKES_MAX};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many connections of those wanted there can be. Raises what the process may open as far as that takes and the system lets it.
pub(super) fn connections_max(wanted: u32) -> u32 {
    let others = (HANDSHAKES_MAX + FILES_MAX) as u64;
    let needed = u64::from(wanted) + others;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let open_max = match current {
        Some(current) if current < needed => {
            let raised = maximum.map_or(needed, |maximum| maximum.min(needed));
            let done = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum });
            done.map_or(current, |()| raised)
        }
        Some(_) | None => return wanted,
    };
    if open_max >= needed {
        return wanted;
    }
    let most = u32::try_from(open_max.saturating_sub(others)).map_or(wanted, |most| most.clamp(1, wanted));
    tracing::warn!(
        "{most} connections are let in, not the {wanted} of server.max_connections, which need {needed} open files where the system \
         allows {open_max}; allow more with `ulimit -n` or LimitNOFILE"
    );
    most
}
