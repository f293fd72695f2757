//! The one room between the verbs and the network: all that they know of a coordinator is here.

use serde_json::Value;

use super::answer;
use super::exit::{Exit, Trouble};
use super::server_url::ServerUrl;
use super::terminal;
use crate::client::{self, Client, ClientError, ClientOptions, Notification, Subscription, code};
use crate::submission::{self, Submission};

/// A coordinator that was reached.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    client: Client,
    /// Where it is, for messages.
    at: String,
}

/// Does `work` with the coordinator at `server`; who is not there is not waited for.
pub(super) async fn with<T>(
    server: &ServerUrl,
    work: impl AsyncFnOnce(&Remote) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let remote = Remote::reach(server).await?;
    let done = work(&remote).await;
    remote.client.close().await;
    done
}

impl Remote {
    /// Connects. A verb does not wait for who is away: it says so, at once.
    async fn reach(server: &ServerUrl) -> Result<Self, Trouble> {
        let options = ClientOptions::from_env()?.max_retries(0);
        let at = server.get()?;
        Ok(Self { client: Client::connect_with(at.as_str(), options).await?, at })
    }

    /// The coordinator that `client` is connected to.
    pub(super) fn of(client: &Client) -> Self {
        Self { client: client.clone(), at: "the other end".to_owned() }
    }

    /// Calls a method that a coordinator of this version knows; the answer has what it must.
    pub(super) async fn call(&self, method: &str, params: Value) -> Result<Value, Trouble> {
        Ok(self.ask(method, params).await?)
    }

    /// The same, for who tells the trouble of the way from other trouble.
    pub(super) async fn ask(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        let answer = self.client.call(method, params).await.map_err(|error| naming(method, error))?;
        self.checked(method, answer)
    }

    fn checked(&self, method: &str, answer: Value) -> Result<Value, ClientError> {
        match answer::lack(method, &answer) {
            None => Ok(answer),
            Some(lack) => Err(self.malformed(method, &lack)),
        }
    }

    /// The trouble with an answer that lacks something.
    pub(super) fn malformed(&self, method: &str, lack: &str) -> ClientError {
        let cause = format!("the coordinator at {} answered without {lack}", self.at);
        ClientError::Malformed { method: method.to_owned(), cause }
    }

    /// Creates the pipeline of a file: the coordinator's answer.
    pub(super) async fn submit(&self, submission: &Submission) -> Result<Value, Trouble> {
        let created = submission::submit(&self.client, submission).await.map_err(Trouble::of_file)?;
        Ok(self.checked("pipeline/create", created)?)
    }

    /// Calls whatever a person asks for; what the coordinator says to it is told as it is.
    pub(super) async fn call_by_hand(&self, method: &str, params: Value) -> Result<Value, Trouble> {
        self.client.call(method, params).await.map_err(Trouble::Client)
    }
}

/// A coordinator need not say which method it lacks.
fn naming(method: &str, error: ClientError) -> ClientError {
    let ClientError::Refused { code: code @ code::METHOD_NOT_FOUND, data, .. } = error else { return error };
    ClientError::Refused { code, message: format!("the coordinator has no method {method}"), data }
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
    remote: Remote,
    updates: Subscription,
}

impl Feed {
    /// Subscribes to `topics`; who is not there at first is not waited for.
    pub(super) async fn open(server: &ServerUrl, topics: Vec<String>) -> Result<Self, Trouble> {
        let remote = Remote::reach(server).await?;
        let updates = remote.client.subscribe(topics).await?;
        Ok(Self { remote, updates })
    }

    /// The coordinator as it is reached now.
    pub(super) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The next update; waits for a lost connection to come back, however long that takes. A coordinator that came back and
    /// tells no more is the end.
    pub(super) async fn next(&mut self) -> Result<Update, Trouble> {
        match self.updates.next().await {
            Some(client::Update::Notification(news)) => Ok(Update::News(news)),
            Some(client::Update::Resumed | client::Update::Missed(_)) => Ok(Update::Resumed),
            Some(client::Update::Ended { reason }) => Err(Trouble::NoNews(terminal::one_line(&reason))),
            // Only a closed client ends it, and this one is closed by nobody.
            None => std::future::pending().await,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::{Indoors, Peer};
    use serde_json::json;

    /// A feed and the coordinator that has granted it.
    async fn fed(coordinator: &mut Indoors) -> (Feed, Peer) {
        let options = ClientOptions::default().max_retries(0);
        let client = Client::connect_with(coordinator.endpoint(), options).await.expect("connected");
        let remote = Remote { client, at: "ws://localhost:8700".to_owned() };
        let mut peer = coordinator.accept().await;
        let (updates, ()) = tokio::join!(remote.client.subscribe(["pipeline/*"]), grant(&mut peer));
        let updates = updates.expect("subscribed");
        (Feed { remote, updates }, peer)
    }

    async fn grant(peer: &mut Peer) {
        let request = peer.expect("subscribe").await;
        assert_eq!(request["params"]["topics"], json!(["pipeline/*"]));
        peer.reply(&request, json!({"topics": ["pipeline/*"]})).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_feed_says_when_it_is_back() {
        let mut coordinator = Indoors::new();
        let (mut feed, mut peer) = fed(&mut coordinator).await;
        peer.notify("pipeline/started", json!({"pipeline_id": "1"})).await;
        assert!(matches!(feed.next().await, Ok(Update::News(news)) if news.method == "pipeline/started"));
        drop(peer);
        let mut peer = coordinator.accept().await;
        grant(&mut peer).await;
        assert!(matches!(feed.next().await, Ok(Update::Resumed)));
        peer.notify("pipeline/completed", json!({"pipeline_id": "1"})).await;
        assert!(matches!(feed.next().await, Ok(Update::News(news)) if news.method == "pipeline/completed"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_feed_that_is_not_granted_again_is_over() {
        let mut coordinator = Indoors::new();
        let (mut feed, peer) = fed(&mut coordinator).await;
        drop(peer);
        let mut peer = coordinator.accept().await;
        let request = peer.expect("subscribe").await;
        peer.refuse(&request, code::INVALID_PARAMS, "no such\u{1b} topic").await;
        let trouble = feed.next().await.expect_err("over");
        assert_eq!(trouble.exit(), Exit::Refused);
        assert!(trouble.to_string().contains("no such\\u001b topic"), "{trouble}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_coordinator_that_lacks_a_method_is_an_old_one() {
        let mut coordinator = Indoors::new();
        let (feed, mut peer) = fed(&mut coordinator).await;
        let refuse = async {
            let request = peer.expect("task/retry").await;
            peer.refuse(&request, code::METHOD_NOT_FOUND, "there is no method 'task/retry'").await;
        };
        let (answer, ()) = tokio::join!(feed.remote().call("task/retry", json!({})), refuse);
        let trouble = answer.expect_err("refused");
        assert_eq!(trouble.exit(), Exit::Refused);
        assert!(trouble.to_string().contains("older than this `everlog`"), "{trouble}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_lacks_something_is_malformed() {
        let mut coordinator = Indoors::new();
        let (feed, mut peer) = fed(&mut coordinator).await;
        for (method, answer, lack) in [
            ("pipeline/list", json!({"pipelines": []}), "without `total`"),
            ("pipeline/status", json!({"name": "iris"}), "without `id`"),
        ] {
            let reply = async {
                let request = peer.expect(method).await;
                peer.reply(&request, answer).await;
            };
            let (answer, ()) = tokio::join!(feed.remote().call(method, json!({})), reply);
            let trouble = answer.expect_err("malformed");
            assert_eq!(trouble.exit(), Exit::Refused);
            let told = trouble.to_string();
            assert!(told.contains("ws://localhost:8700 answered") && told.contains(lack), "{told}");
        }
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
}
