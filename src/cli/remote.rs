//! The one room between the verbs and the network: all that they know of a coordinator is here.

use std::time::Duration;

use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::server_url::ServerUrl;
use crate::client::{Client, ClientError, Notification, Notifications};

/// The code of a method that the coordinator does not know (protocol §2).
const METHOD_NOT_FOUND: i64 = -32_601;

/// The first wait before a connection is tried again, and the longest: a restart takes a second or two.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// A coordinator that was reached.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    client: Client,
}

/// Does `work` with the coordinator at `server`; who is not there is not waited for.
pub(super) async fn with<T>(
    server: &ServerUrl,
    work: impl AsyncFnOnce(&Remote) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let (client, _notifications) = Client::connect(&server.get()).await?;
    let remote = Remote { client };
    let done = work(&remote).await;
    remote.client.close().await;
    done
}

impl Remote {
    /// Calls a method that a coordinator of this version knows.
    pub(super) async fn call(&self, method: &str, params: Value) -> Result<Value, Trouble> {
        match self.client.request(method, params).await {
            Err(ClientError::Refused { code: METHOD_NOT_FOUND, .. }) => {
                Err(Trouble::OldServer(format!("the coordinator has no method {method}")))
            }
            Err(ClientError::Refused { code, message, data }) => {
                Err(ClientError::Refused { code, message: in_verbs(message), data }.into())
            }
            answered => Ok(answered?),
        }
    }

    /// Calls whatever a person asks for.
    pub(super) async fn call_by_hand(&self, method: &str, params: Value) -> Result<Value, Trouble> {
        Ok(self.client.request(method, params).await?)
    }
}

/// The methods that refusals name as the next step, and the verbs that do the same.
const VERBS: [(&str, &str); 9] = [
    ("pipeline/list", "`everlog ps --all`"),
    ("pipeline/status", "`everlog status`"),
    ("pipeline/start", "`everlog start`"),
    ("pipeline/resume", "`everlog resume`"),
    ("pipeline/stop", "`everlog stop`"),
    ("pipeline/delete", "`everlog delete`"),
    ("task/list", "`everlog tasks`"),
    ("error/list", "`everlog errors`"),
    ("memory/delete", "`everlog memory rm`"),
];

/// A refusal in the words of the command line.
fn in_verbs(message: String) -> String {
    VERBS.iter().fold(message, |message, (method, verb)| message.replace(method, verb))
}

/// What a feed tells.
#[derive(Debug)]
pub(super) enum Update {
    /// Something happened.
    News(Notification),
    /// The connection was lost and is back. What happened in between was not told: look again.
    Resumed,
}

/// A subscription that outlives restarts of the coordinator.
#[derive(Debug)]
pub(super) struct Feed {
    url: String,
    topics: Vec<String>,
    remote: Remote,
    notifications: Notifications,
}

impl Feed {
    /// Subscribes to `topics`; who is not there at first is not waited for.
    pub(super) async fn open(server: &ServerUrl, topics: Vec<String>) -> Result<Self, Trouble> {
        let url = server.get();
        let (remote, notifications) = subscribe(&url, &topics).await?;
        Ok(Self { url, topics, remote, notifications })
    }

    /// The coordinator as it is reached now.
    pub(super) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The next update; waits for a lost connection to come back, however long that takes.
    pub(super) async fn next(&mut self) -> Update {
        if let Some(news) = self.notifications.next().await {
            return Update::News(news);
        }
        let mut wait = WAIT_FIRST;
        loop {
            tokio::time::sleep(wait).await;
            match subscribe(&self.url, &self.topics).await {
                Ok((remote, notifications)) => {
                    (self.remote, self.notifications) = (remote, notifications);
                    return Update::Resumed;
                }
                Err(error) => tracing::debug!(%error, "not back yet"),
            }
            wait = WAIT_MAX.min(wait * 2);
        }
    }
}

/// Whether the coordinator is there, for who looks again and again.
#[derive(Debug, Default)]
pub(super) struct Contact {
    lost: bool,
}

impl Contact {
    /// Takes up how a look went: what it found, and a line to say when that is news. A coordinator that is away may come back.
    pub(super) fn take<T>(&mut self, looked: Result<T, Trouble>) -> Result<(Option<T>, Option<&'static str>), Trouble> {
        match looked {
            Ok(found) => Ok((Some(found), std::mem::take(&mut self.lost).then_some("connected again"))),
            Err(trouble) if matches!(trouble.exit(), Exit::Unreachable | Exit::TryAgain) => {
                let was_lost = std::mem::replace(&mut self.lost, true);
                Ok((None, (!was_lost).then_some("the connection is lost; reconnecting")))
            }
            Err(trouble) => Err(trouble),
        }
    }
}

async fn subscribe(url: &str, topics: &[String]) -> Result<(Remote, Notifications), ClientError> {
    let (client, notifications) = Client::connect(url).await?;
    client.request("subscribe", json!({"topics": topics})).await?;
    Ok((Remote { client }, notifications))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::Coordinator;

    /// A coordinator of a test's own, with a feed whose subscription it has granted.
    async fn fed(coordinator: &Coordinator) -> (Feed, crate::client::testing::Peer) {
        let (url, topics) = (coordinator.url(), vec!["pipeline/*".to_owned()]);
        let (subscribed, peer) = tokio::join!(subscribe(&url, &topics), grant(coordinator));
        let (remote, notifications) = subscribed.expect("subscribed");
        (Feed { url, topics, remote, notifications }, peer)
    }

    async fn grant(coordinator: &Coordinator) -> crate::client::testing::Peer {
        let mut peer = coordinator.accept().await;
        let request = peer.expect("subscribe").await;
        assert_eq!(request["params"]["topics"], json!(["pipeline/*"]));
        peer.reply(&request, json!({"topics": ["pipeline/*"]})).await;
        peer
    }

    #[tokio::test]
    async fn a_feed_says_when_it_is_back() {
        let coordinator = Coordinator::start().await;
        let (mut feed, mut peer) = fed(&coordinator).await;
        peer.notify("pipeline/started", json!({"pipeline_id": "1"})).await;
        assert!(matches!(feed.next().await, Update::News(news) if news.method == "pipeline/started"));
        drop(peer);
        let (update, mut peer) = tokio::join!(feed.next(), grant(&coordinator));
        assert!(matches!(update, Update::Resumed));
        peer.notify("pipeline/completed", json!({"pipeline_id": "1"})).await;
        assert!(matches!(feed.next().await, Update::News(news) if news.method == "pipeline/completed"));
    }

    #[tokio::test]
    async fn a_coordinator_that_lacks_a_method_is_an_old_one() {
        let coordinator = Coordinator::start().await;
        let (feed, mut peer) = fed(&coordinator).await;
        let refuse = async {
            let request = peer.expect("task/retry").await;
            peer.refuse(&request, METHOD_NOT_FOUND, "there is no method 'task/retry'").await;
        };
        let (answer, ()) = tokio::join!(feed.remote().call("task/retry", json!({})), refuse);
        let trouble = answer.expect_err("refused");
        assert_eq!(trouble.exit(), Exit::Refused);
        assert!(trouble.to_string().contains("older than this `everlog`"), "{trouble}");
    }

    #[test]
    fn a_lost_contact_is_told_once_and_so_is_its_return() {
        let away = || Err(Trouble::Client(ClientError::Closed { reason: String::new() }));
        let mut contact = Contact::default();
        let told: Vec<_> =
            [Ok(1), away(), away(), Ok(2), Ok(3)].map(|looked| contact.take(looked).expect("no other trouble")).into();
        let (lost, back) = ("the connection is lost; reconnecting", "connected again");
        assert_eq!(told, [(Some(1), None), (None, Some(lost)), (None, None), (Some(2), Some(back)), (Some(3), None)]);
        assert!(contact.take::<u8>(Err(Trouble::NotFound("gone".to_owned()))).is_err());
    }

    #[test]
    fn the_next_step_is_told_in_verbs() {
        let told = in_verbs("it is idle; start it with pipeline/start".to_owned());
        assert_eq!(told, "it is idle; start it with `everlog start`");
    }
}
