//! `error/*`: the register of errors that clients report.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Page;
use super::methods::{ERROR_LIST, ERROR_RECOVER, ERROR_REPORT};
use super::params::ErrorRecover;
use super::setters::setters;
use crate::client::{Client, ClientError};

/// What there is to say about an error. Everything may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ErrorReport {
    /// What it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// What kind of error it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// For a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The id of the task that it is about, which recovering can repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
    /// Where it happened.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub context: Value,
}

setters!(ErrorReport { component: impl Into<String>, error_type: impl Into<String>, message: impl Into<String>, task_id: impl Into<String>; details: impl Into<Value>, context: impl Into<Value> });

/// An error in the register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ErrorRecord {
    /// Its id.
    pub error_id: String,
    /// When it was reported.
    pub timestamp: Timestamp,
    /// What it happened in.
    pub component: String,
    /// What kind of error it is.
    pub error_type: String,
    /// For a person.
    pub message: String,
    /// The task that it is about.
    #[serde(default)]
    pub task_id: Option<String>,
    /// Anything else.
    #[serde(default)]
    pub details: Value,
    /// Where it happened.
    #[serde(default)]
    pub context: Value,
    /// What was done about it.
    #[serde(default)]
    pub recovery_action: Option<String>,
    /// When.
    #[serde(default)]
    pub recovered_at: Option<Timestamp>,
    /// `reported` or `recovered`.
    #[schemars(extend("enum" = ["reported", "recovered"]))]
    pub status: String,
}

/// What was done about an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Recovery {
    /// The error.
    pub error_id: String,
    /// What was asked for.
    pub recovery_action: String,
    /// `retried` or `recovered`.
    #[schemars(extend("enum" = ["retried", "recovered"]))]
    pub status: String,
    /// The task that runs again, and whether it is a new one.
    #[serde(default)]
    pub details: Value,
}

/// Which errors to list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ErrorFilter {
    /// Those of this component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Those of this type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// How many at most; `None` for as many as fit a frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How many to leave out, newest first.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub offset: u64,
}

setters!(ErrorFilter { component: impl Into<String>, error_type: impl Into<String>, limit: u64; offset: u64 });

/// Errors.
impl Client {
    /// Puts an error into the register; its id.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn report_error(&self, report: &ErrorReport) -> Result<String, ClientError> {
        Ok(self.ask(&ERROR_REPORT, report).await?.error_id)
    }

    /// Does something about an error: `retry` repeats its task, `ignore` and `resolved` only say that it is dealt with.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn recover_error(&self, error_id: &str, action: &str) -> Result<Recovery, ClientError> {
        self.ask(&ERROR_RECOVER, &ErrorRecover { error_id, recovery_action: action }).await
    }

    /// Lists errors, newest first.
    ///
    /// # Errors
    /// As [all calls](crate::api).
    pub async fn errors(&self, filter: &ErrorFilter) -> Result<Page<ErrorRecord>, ClientError> {
        Ok(self.ask(&ERROR_LIST, filter).await?.0)
    }
}
