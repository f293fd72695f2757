//! Who wants to hear what (protocol §4).
//!
//! Existing clients never subscribe and rely on the broadcast; but they run a handler inside their read loop, and some 20–60
//! unread frames are their end. So a peer that works and has not said what it wants is spared.

use super::limits::{OTHERS_MAX, TOPICS_MAX};
use super::turns::Turns;
use crate::protocol::{SessionRequest, Topic};
use everlog_replay::{PipelineId, Refusal};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// What one peer wants to hear.
#[derive(Debug, Default)]
pub(super) struct Audience {
    /// What it said; `None` as long as it has said nothing and gets the broadcast.
    topics: Option<BTreeSet<Topic>>,
    /// Notifications sent while it worked, since it last spoke.
    others: u32,
    /// How often it had spoken then.
    spoken: u64,
}

impl Audience {
    /// Whether a notification that is not addressed to this peer goes to it.
    pub(super) fn wants(&mut self, method: &str, pipeline: Option<PipelineId>, turns: &Turns) -> bool {
        match &self.topics {
            Some(topics) => topics.iter().any(|topic| topic.covers(method, pipeline)),
            None => BROADCAST.iter().any(|topic| topic.covers(method, pipeline)) && self.has_room(turns),
        }
    }

    /// Counts what goes to a peer that works; false when it has had enough.
    fn has_room(&mut self, turns: &Turns) -> bool {
        let spoken = turns.spoken();
        if spoken != self.spoken || !turns.holds() {
            self.others = 0;
            self.spoken = spoken;
        }
        if !turns.holds() {
            return true;
        }
        self.others += 1;
        self.others <= OTHERS_MAX
    }

    /// Changes what the peer wants. Who unsubscribes before it has subscribed gets the rest of the broadcast.
    ///
    /// # Errors
    /// When there would be more than [`TOPICS_MAX`] topics; nothing has changed then.
    pub(super) fn change(&mut self, request: SessionRequest) -> Result<(), Refusal> {
        match request {
            SessionRequest::Subscribe { topics } => {
                let mut wanted = self.topics.clone().unwrap_or_default();
                wanted.extend(topics);
                if wanted.len() > TOPICS_MAX {
                    let sentence = format!(
                        "a connection can be subscribed to {TOPICS_MAX} topics; unsubscribe some, or subscribe to a group such as pipeline/*"
                    );
                    return Err(Refusal::Overloaded(sentence));
                }
                self.topics = Some(wanted);
            }
            SessionRequest::Unsubscribe { topics } => {
                let wanted = self.topics.get_or_insert_with(|| BROADCAST.clone());
                if topics.contains(&Topic::All) {
                    wanted.clear();
                }
                wanted.retain(|topic| !topics.contains(topic));
            }
        }
        Ok(())
    }

    /// The topics now in force.
    pub(super) fn in_force(&self) -> impl Iterator<Item = &Topic> {
        self.topics.iter().flatten()
    }

    /// Whether the peer wants to hear what becomes of tasks.
    pub(super) fn watches_tasks(&self) -> bool {
        self.in_force().any(|topic| match topic {
            Topic::All | Topic::Pipeline(_) => true,
            Topic::Group(group) => group == TASK_GROUP,
            Topic::Method(method) => method.split_once('/').is_some_and(|(group, _)| group == TASK_GROUP),
        })
    }
}

/// The group of notifications about tasks.
const TASK_GROUP: &str = "task";

/// What a peer gets that has not said what it wants.
static BROADCAST: LazyLock<BTreeSet<Topic>> =
    LazyLock::new(|| ["pipeline/*", "server/heartbeat", "monitoring/*"].into_iter().filter_map(Topic::parse).collect());

#[cfg(test)]
mod tests {
    use super::*;
    use everlog_replay::{AgentId, TaskId};
    use uuid::Uuid;

    fn topics(texts: &[&str]) -> Vec<Topic> {
        texts.iter().map(|text| Topic::parse(text).unwrap()).collect()
    }

    fn wanted(audience: &mut Audience) -> Vec<&'static str> {
        const METHODS: [&str; 6] = [
            "pipeline/created",
            "server/heartbeat",
            "monitoring/alert",
            "task/changed",
            "task/progress",
            "claude-flow/hook",
        ];
        METHODS.into_iter().filter(|method| audience.wants(method, None, &Turns::default())).collect()
    }

    #[test]
    fn without_a_subscription_there_is_the_broadcast() {
        let mut audience = Audience::default();
        assert_eq!(wanted(&mut audience), ["pipeline/created", "server/heartbeat", "monitoring/alert"]);
        assert_eq!(audience.in_force().count(), 0);
        assert!(!audience.watches_tasks());
    }

    #[test]
    fn who_subscribes_gets_that_and_nothing_else() {
        let mut audience = Audience::default();
        audience.change(SessionRequest::Subscribe { topics: topics(&["task/*", "server/heartbeat"]) }).unwrap();
        assert_eq!(wanted(&mut audience), ["server/heartbeat", "task/changed", "task/progress"]);
        assert!(audience.watches_tasks());
        audience.change(SessionRequest::Unsubscribe { topics: topics(&["task/*"]) }).unwrap();
        assert_eq!(wanted(&mut audience), ["server/heartbeat"]);
        audience.change(SessionRequest::Unsubscribe { topics: topics(&["*"]) }).unwrap();
        assert!(wanted(&mut audience).is_empty() && !audience.watches_tasks());
        audience.change(SessionRequest::Subscribe { topics: topics(&["*"]) }).unwrap();
        assert_eq!(wanted(&mut audience).len(), 6);
    }

    #[test]
    fn who_only_unsubscribes_gets_the_rest_of_the_broadcast() {
        let mut audience = Audience::default();
        audience.change(SessionRequest::Unsubscribe { topics: topics(&["monitoring/*"]) }).unwrap();
        assert_eq!(wanted(&mut audience), ["pipeline/created", "server/heartbeat"]);
    }

    #[test]
    fn a_pipeline_s_topic_covers_its_tasks() {
        let id = Uuid::from_u128(7);
        let mut audience = Audience::default();
        audience.change(SessionRequest::Subscribe { topics: topics(&[&format!("pipeline:{id}")]) }).unwrap();
        assert!(audience.wants("task/changed", Some(PipelineId(id)), &Turns::default()));
        assert!(!audience.wants("task/changed", None, &Turns::default()));
        assert!(audience.watches_tasks());
    }

    #[test]
    fn the_number_of_topics_is_limited_over_all_requests() {
        let mut audience = Audience::default();
        let many = (0..TOPICS_MAX).map(|n| Topic::Group(format!("group{n}"))).collect();
        audience.change(SessionRequest::Subscribe { topics: many }).unwrap();
        let refusal = audience.change(SessionRequest::Subscribe { topics: topics(&["*"]) }).unwrap_err();
        assert!(refusal.to_string().contains("1024 topics"), "{refusal}");
        assert_eq!(audience.in_force().count(), TOPICS_MAX);
    }

    #[test]
    fn a_peer_that_works_gets_eight_others_until_it_speaks() {
        let (mut audience, turns) = (Audience::default(), Turns::default());
        let mut heard = |turns: &Turns| (0..20).filter(|_| audience.wants("pipeline/created", None, turns)).count();
        assert_eq!(heard(&turns), 20, "it does not work yet");
        turns.hold(TaskId(Uuid::from_u128(1)), AgentId::from("a"));
        assert_eq!(heard(&turns), 8);
        assert_eq!(heard(&turns), 0);
        turns.spoke();
        assert_eq!(heard(&turns), 8);
        turns.let_go(TaskId(Uuid::from_u128(1)));
        assert_eq!(heard(&turns), 20);
    }
}
