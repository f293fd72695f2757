//! A listing, page by page: no frame holds it all, and nobody should have to.

use serde_json::{Value, json};

use crate::cli::remote::Remote;
use crate::client::ClientError;

/// Records asked for at once. The coordinator sends fewer where they do not fit a frame.
const PAGE: usize = 500;

/// A listing of the coordinator.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Ask {
    /// For example `task/list`.
    pub(in crate::cli) method: &'static str,
    /// What the method calls its list.
    pub(in crate::cli) field: &'static str,
    /// An object.
    pub(in crate::cli) filters: Value,
    /// The coordinator lists the oldest first.
    pub(in crate::cli) newest_first: bool,
    pub(in crate::cli) limit: Option<usize>,
}

impl Ask {
    pub(in crate::cli) fn new(method: &'static str, field: &'static str, mut filters: Value) -> Self {
        // A null filter is none.
        if let Some(filters) = filters.as_object_mut() {
            filters.retain(|_, value| !value.is_null());
        }
        Self { method, field, filters, newest_first: false, limit: None }
    }

    /// The records from `offset` on, at most `limit`, and how many there are in all.
    async fn page(&self, remote: &Remote, offset: usize, limit: usize) -> Result<(Vec<Value>, usize), ClientError> {
        let mut params = self.filters.clone();
        params["offset"] = json!(offset);
        params["limit"] = json!(limit);
        let mut answer = remote.ask(self.method, params).await?;
        let total = answer["total"].as_u64().and_then(|total| usize::try_from(total).ok());
        match (answer.get_mut(self.field).map(Value::take), total) {
            (Some(Value::Array(records)), Some(total)) => Ok((records, total)),
            _ => Err(remote.malformed(self.method, &format!("`{}` and `total`", self.field))),
        }
    }

    /// The records from `from` to before `to`, however many pages that takes.
    async fn range(&self, remote: &Remote, from: usize, to: usize) -> Result<Vec<Value>, ClientError> {
        let mut found = Vec::new();
        while from + found.len() < to {
            let (page, _) = self.page(remote, from + found.len(), to - from - found.len()).await?;
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        Ok(found)
    }

    /// Hands on the records page by page; how many there are in all, also beyond the limit.
    pub(in crate::cli) async fn each_page<E: From<ClientError>>(
        &self,
        remote: &Remote,
        mut take: impl FnMut(Vec<Value>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let most = self.limit.unwrap_or(usize::MAX);
        if !self.newest_first {
            let mut seen = 0;
            loop {
                let (page, total) = self.page(remote, seen, PAGE.min(most - seen)).await?;
                seen += page.len();
                let last = page.is_empty() || seen >= most.min(total);
                take(page)?;
                if last {
                    return Ok(total);
                }
            }
        }
        let (_, total) = self.page(remote, 0, 0).await?;
        let end = total.saturating_sub(most);
        let mut to = total;
        while to > end {
            let from = to.saturating_sub(PAGE).max(end);
            let mut page = self.range(remote, from, to).await?;
            page.reverse();
            take(page)?;
            to = from;
        }
        Ok(total)
    }

    /// All of them, up to the limit.
    pub(in crate::cli) async fn all(&self, remote: &Remote) -> Result<Vec<Value>, ClientError> {
        let mut all = Vec::new();
        let take = |page| {
            all.extend(page);
            Ok::<_, ClientError>(())
        };
        self.each_page(remote, take).await?;
        Ok(all)
    }
}
