//! The one place where wall-clock time enters: everything else is told what time it is, or asks here.

use jiff::Timestamp;
use jiff::tz::Offset;

/// The present moment as protocol text: `YYYY-MM-DDTHH:MM:SS.ffffff+00:00`.
///
/// Always six fractional digits and a numeric zone, because existing clients parse nothing else.
pub(crate) fn now_text() -> String {
    let now = Offset::UTC.to_datetime(Timestamp::now());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}+00:00",
        now.year(),
        now.month(),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.subsec_nanosecond() / 1_000,
    )
}

#[cfg(test)]
mod tests {
    use super::now_text;

    #[test]
    fn text_has_the_fixed_protocol_form() {
        let text = now_text();
        assert_eq!(text.len(), "2026-01-02T03:04:05.000006+00:00".len());
        assert!(text.ends_with("+00:00"), "{text}");
        assert_eq!(text.as_bytes()[19], b'.', "{text}");
        text.parse::<jiff::Timestamp>().expect("a valid timestamp");
    }
}
