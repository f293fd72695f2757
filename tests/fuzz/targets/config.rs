//! Any bytes as a configuration file.

use super::scratch::with_file;
use crate::config::{Config, Sources};

/// What passes can be worked with; anything else is told with the file's name.
pub fn config(bytes: &[u8]) {
    let loaded = with_file(bytes, |path| Sources { file: Some(path.to_owned()), ..Sources::default() }.load());
    match loaded {
        Ok(loaded) => {
            let setup = loaded.config.setup();
            assert_eq!(setup.settings, loaded.config.settings());
            let change = Config::default().change_to(&loaded.config);
            assert!(change.told.iter().all(|(_, sentence)| !sentence.is_empty()));
        }
        Err(error) => {
            let shown = format!("{:?}", miette::Report::new(error));
            assert!(shown.contains("input.yaml"), "{shown}");
        }
    }
}
