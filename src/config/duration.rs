//! Signed durations as people write them: `31d`, `-226d`, `1d12h`, `-90m`, `15s`.

use chrono::TimeDelta;

/// The largest duration accepted, in either direction: a hundred years, far inside what the calendar can hold.
const MAX_SECONDS: i64 = 36_525 * 86_400;

/// What [`parse`] accepts, for a message to a person.
pub const ALLOWED: &str = "a signed duration such as 31d, -226d, 1d12h, -90m or 15s, at most 100 years";

/// Reads a duration; `None` if it is not one. Units must come from large to small, each at most once; `0` needs no unit.
#[must_use]
pub fn parse(text: &str) -> Option<TimeDelta> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(TimeDelta::zero());
    }
    if rest.is_empty() {
        return None;
    }
    let mut seconds: i64 = 0;
    let mut last_unit = i64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest.get(..digits)?.parse().ok()?;
        let mut tail = rest.get(digits..)?.chars();
        let unit = match tail.next()? {
            'w' => 7 * 86_400,
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = tail.as_str();
    }
    (seconds <= MAX_SECONDS).then(|| TimeDelta::seconds(sign * seconds))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [
            ("31d", 31 * 86_400),
            ("-226d", -226 * 86_400),
            ("+36h", 36 * 3_600),
            ("1d12h", 36 * 3_600),
            ("-90m", -5_400),
            ("15s", 15),
            ("2w", 14 * 86_400),
            ("0", 0),
            ("-0s", 0),
        ] {
            let duration = parse(text).unwrap_or_else(|| panic!("{text} is a duration"));
            assert_eq!(duration.num_seconds(), seconds, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in
            ["", "-", "5", "d", "5x", "1h1d", "1d1d", "--1d", "1.5d", "1 d", "36526d", "99999999999999999999s", "½d"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
