//! What this program says and understands, described for other programs: made from the types that are sent and read, so
//! that it cannot say anything else.

pub(crate) mod messages;
mod notices;
#[cfg(test)]
mod tests;
