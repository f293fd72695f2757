//! What each message of a batch leads to: commands, answers, refusals on record.

use super::turn::{Delivery, Stop, Work, Writer};
use crate::exchange::{Inbound, Message, Outgoing, Sample};
use crate::failure::Bug;
use crate::protocol::{Operation, Reply};
use everlog_replay::{
    Actor, AgentId, Command, ConnectionNo, Envelope, ErrorId, Json, NewIds, PipelineId, Refusal, RequestKey, Stamp,
    TaskId,
};
use std::sync::Arc;

/// What is said while the disk is full.
const DISK_FULL: &str = "the coordinator's disk is full: it takes no changes until there is space again, while reading \
                         goes on; free some, then repeat the request";

/// The entry of the error register that tells of trouble of the coordinator itself.
fn alert_of(error: ErrorId, error_type: &str, message: String) -> Command {
    let (component, error_type) = ("coordinator".to_owned(), error_type.to_owned());
    Command::ReportError { error, component, error_type, message, task: None, details: Json::null() }
}

/// Whether a command belongs to work under way, or to those who do it: taken on a full disk too, out of the reserve.
fn ends_work(command: &Command) -> bool {
    matches!(command, Command::CompleteTask { .. } | Command::RegisterAgent { .. } | Command::UnregisterAgent { .. })
}

impl Work<'_> {
    /// What a client does now.
    fn stamp(&self, connection: ConnectionNo, request: Option<RequestKey>) -> Stamp {
        Stamp { at: self.now, actor: Actor::Connection(connection), cause: 0, request, altered: self.altered }
    }
}

impl Writer {
    pub(super) fn message(&mut self, work: &mut Work<'_>, inbound: Inbound) -> Result<(), Bug> {
        let connection = inbound.connection;
        work.altered = false;
        let outcome = match inbound.message {
            Message::Opened { peer } => {
                self.client(work, connection, None, &Command::OpenConnection { peer }).map(drop)
            }
            Message::Request { id, body, method, operation, altered } => {
                work.altered = altered;
                let key = RequestKey { id: id.clone(), body };
                let outcome = self.request(work, connection, key, &method, operation);
                return self.conclude(work, connection, Some(id), &method, outcome);
            }
            Message::Notification { method, operation, altered } => {
                work.altered = altered;
                let outcome = self.notification(work, connection, &method, operation);
                return self.conclude(work, connection, None, &method, outcome);
            }
            Message::Refused { id, method, refusal } => {
                return self.conclude(work, connection, id, &method, Err(Stop::Refused(refusal)));
            }
            Message::Closed => {
                let agents = self.liveness.closed(connection, work.mono_ms);
                self.observations.forget(connection);
                return self.internal(work, &Command::DisconnectAgents { connection, agents });
            }
            Message::Load { cpu, memory } => {
                let observed = Command::ObserveLoad { cpu, memory };
                self.load = Some(observed.clone());
                return if self.full { Ok(()) } else { self.internal(work, &observed) };
            }
            Message::Configure { settings } => {
                self.internal(work, &Command::ConfigureCoordinator { settings })?;
                // The limits may be others now: the newest reading is held against them at once.
                return self.load.clone().map_or(Ok(()), |observed| self.internal(work, &observed));
            }
            Message::Space { full, alert } => return self.space(work, full, alert),
            Message::Damage { alert, detail } => return self.internal(work, &alert_of(alert, "damage", detail)),
            Message::Drain { reason } => {
                work.turn.last = true;
                if let Some(observed) = self.observations.all() {
                    self.internal(work, &Command::RecordObservations { observed })?;
                }
                return self.internal(work, &Command::StopCoordinator { reason });
            }
        };
        self.conclude(work, connection, None, "", outcome)
    }

    /// On a full disk what is left of the log is for what ends work under way, and for this alert.
    fn space(&mut self, work: &mut Work<'_>, full: bool, alert: ErrorId) -> Result<(), Bug> {
        self.full = full;
        let command = if full {
            tracing::error!("{DISK_FULL}");
            alert_of(alert, "disk_full", DISK_FULL.to_owned())
        } else {
            tracing::info!("the disk has space again; everything goes on");
            // Nothing runs again.
            let new = NewIds { pipeline: PipelineId(alert.0), task: TaskId(alert.0) };
            Command::RecoverError { error: alert, action: "resolved".to_owned(), new }
        };
        self.internal(work, &command)
    }

    fn client(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        request: Option<RequestKey>,
        command: &Command,
    ) -> Result<Vec<Envelope>, Stop> {
        let stamp = work.stamp(connection, request);
        self.run(work, command, &stamp)
    }

    /// Puts a refusal on record and tells the client, where it asked for an answer.
    fn conclude(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        id: Option<String>,
        method: &str,
        outcome: Result<(), Stop>,
    ) -> Result<(), Bug> {
        let refusal = match outcome {
            Ok(()) => {
                self.flush_notices(work);
                return Ok(());
            }
            Err(Stop::Bug(bug)) => return Err(bug),
            Err(Stop::Refused(refusal)) => refusal,
        };
        let record =
            Command::RecordRefusal { method: method.to_owned(), code: refusal.code(), message: refusal.to_string() };
        // On a full disk refusals are counted only.
        let recorded = if self.full { Ok(Vec::new()) } else { self.client(work, connection, None, &record) };
        match recorded {
            Ok(events) if events.is_empty() => self.observations.refused(connection, method, work.now),
            Ok(_) | Err(Stop::Refused(_)) => {}
            Err(Stop::Bug(bug)) => return Err(bug),
        }
        if let Some(id) = id {
            work.turn.send(connection, Outgoing::Refused { id, refusal });
        }
        Ok(())
    }

    fn request(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        key: RequestKey,
        method: &str,
        operation: Operation,
    ) -> Result<(), Stop> {
        let id = key.id.clone();
        match operation {
            Operation::Change { command, reply } => self.change(work, connection, key, &command, reply)?,
            Operation::Register { command, ready, frame_bytes_max } => {
                self.change(work, connection, key, &command, Reply::AgentRegistered)?;
                work.turn.send(connection, Outgoing::Registered { ready, frame_bytes_max });
            }
            Operation::Progress { task, agent, progress, details } => {
                self.progress(work, connection, task, &agent, progress, details)?;
                work.turn.send(connection, Outgoing::Recorded { id });
            }
            Operation::AgentMetrics { agent, metrics } => {
                self.agent_metrics(work, connection, &agent, metrics)?;
                work.turn.send(connection, Outgoing::Recorded { id });
            }
            Operation::Read(query) => {
                self.observations.answered(connection, method, work.now);
                work.turn.send(connection, Outgoing::Read { id, query });
            }
            Operation::Session(request) => {
                self.observations.answered(connection, method, work.now);
                work.turn.send(connection, Outgoing::Session { id, request });
            }
            Operation::Observe => self.observations.answered(connection, method, work.now),
        }
        Ok(())
    }

    /// A command that is answered: once, however often it is asked (law 11).
    fn change(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        key: RequestKey,
        command: &Command,
        reply: Reply,
    ) -> Result<(), Stop> {
        let id = key.id.clone();
        let mut stamp = work.stamp(connection, Some(key));
        // A registration belongs to its connection: repeated on another one, it is a new one.
        let moved = matches!(command, Command::RegisterAgent { agent, .. }
            if work.state.agent_at(agent, connection).is_err());
        match work.state.answered(&stamp)? {
            Some(events) if !moved => {
                work.turn.deliver(connection, Delivery::Repeated { id, reply, events });
                return Ok(());
            }
            Some(_) => stamp.request = None,
            None => {}
        }
        if self.full && !ends_work(command) {
            return Err(Refusal::Overloaded(DISK_FULL.to_owned()).into());
        }
        let events = self.run(work, command, &stamp)?.into();
        work.turn.send(connection, Outgoing::Reply { id, reply, events });
        Ok(())
    }

    fn notification(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        method: &str,
        operation: Operation,
    ) -> Result<(), Stop> {
        match operation {
            Operation::Change { command, .. } => self.client(work, connection, None, &command).map(drop),
            Operation::Progress { task, agent, progress, details } => {
                self.progress(work, connection, task, &agent, progress, details)
            }
            Operation::AgentMetrics { agent, metrics } => self.agent_metrics(work, connection, &agent, metrics),
            // Only asked for in requests; as a notification it would be answered to nobody.
            Operation::Register { .. } | Operation::Read(_) | Operation::Session(_) | Operation::Observe => {
                self.observations.answered(connection, method, work.now);
                Ok(())
            }
        }
    }

    /// The first sign of work is an event; how far the work is, is not.
    fn progress(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        task: TaskId,
        agent: &AgentId,
        progress: f64,
        details: Json,
    ) -> Result<(), Stop> {
        self.client(work, connection, None, &Command::StartTask { task, agent: agent.clone() })?;
        self.observations.answered(connection, "task/progress", work.now);
        if work.watched {
            let pipeline = work.state.task(task).ok().and_then(|task| work.state.pipeline_of(task)).map(|p| p.id);
            let params = crate::render::progress(task, pipeline, agent, progress, &details, work.now);
            work.turn.broadcasts.push(Outgoing::Sample(Arc::new(Sample { method: "task/progress", params, pipeline })));
        }
        self.shared.progress.lock().insert(task, progress);
        Ok(())
    }

    fn agent_metrics(
        &mut self,
        work: &mut Work<'_>,
        connection: ConnectionNo,
        agent: &AgentId,
        metrics: Json,
    ) -> Result<(), Stop> {
        work.state.agent_at(agent, connection)?;
        self.observations.answered(connection, "agent/metrics", work.now);
        self.shared.agent_metrics.lock().insert(agent.clone(), metrics);
        Ok(())
    }
}
