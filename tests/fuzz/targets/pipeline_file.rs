//! Any bytes as a pipeline file.

use super::scratch::with_file;
use crate::pipeline_file::check;
use crate::submission;

/// What passes is a pipeline that a coordinator takes; anything else is told with a place or a next step. libFuzzer's limits say
/// that time and memory are bounded.
pub fn pipeline_file(bytes: &[u8]) {
    let settings = ["p=1".parse().expect("NAME=VALUE")];
    match with_file(bytes, |path| check(path, &settings)) {
        Ok(file) => {
            assert!(!file.submission.tasks().is_empty());
            assert_eq!(submission::rehearse(&file.submission), Ok(()));
        }
        Err(error) => {
            assert!(!error.faults().is_empty(), "a file is refused with a reason");
            let shown = format!("{:?}", miette::Report::new(error));
            assert!(shown.contains("input.yaml"), "{shown}");
        }
    }
}
