//! A date and a time as text, by a format of `strftime`.
//!
//! In: a format and seconds since 1970, UTC. Out: text, in English. A directive that is not known stays as it is.
//!
//! Absent on purpose: time zones and languages.

const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Writes a moment by a format.
pub(crate) fn strftime(format: &str, seconds: u64) -> String {
    let day = seconds / 86_400;
    let (year, month, date) = civil(day);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    let name =
        |names: &'static [&'static str], place: u64| names[usize::try_from(place).unwrap_or(0) % names.len()];
    let (weekday, month_name) = (name(&DAYS, day % 7), name(&MONTHS, month - 1));
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let mut directive = letters.next();
        let bare = directive == Some('-');
        if bare {
            directive = letters.next();
        }
        let number = |value: u64, width: usize| {
            if bare { value.to_string() } else { format!("{value:0width$}") }
        };
        let written = match directive {
            Some('Y') => year.to_string(),
            Some('y') => number(year % 100, 2),
            Some('m') => number(month, 2),
            Some('B') => month_name.to_owned(),
            Some('b' | 'h') => month_name[..3].to_owned(),
            Some('d') => number(date, 2),
            Some('e') => format!("{date:2}"),
            Some('j') => number(day - days_before(year) + 1, 3),
            Some('A') => weekday.to_owned(),
            Some('a') => weekday[..3].to_owned(),
            Some('H') => number(hour, 2),
            Some('I') => number(hour12, 2),
            Some('M') => number(minute, 2),
            Some('S') => number(second, 2),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            Some('F') => format!("{year}-{month:02}-{date:02}"),
            Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
            Some('Z') => "UTC".to_owned(),
            Some('z') => "+0000".to_owned(),
            Some('%') | None => "%".to_owned(),
            Some(other) => format!("%{}{other}", if bare { "-" } else { "" }),
        };
        text.push_str(&written);
    }
    text
}

/// Days from 1970 to the start of a year.
fn days_before(year: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

/// Year, month and date of a day since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_moments_as_strftime_does() {
        let all = "%Y-%m-%d %H:%M:%S %a %A %b %B %j %y %I %p %-d %e %%";
        // From Python: datetime.fromtimestamp(t, timezone.utc).strftime(all).
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 Thu Thursday Jan January 001 70 12 AM 1  1 %"),
            (951_827_696, "2000-02-29 12:34:56 Tue Tuesday Feb February 060 00 12 PM 29 29 %"),
            (1_735_689_599, "2024-12-31 23:59:59 Tue Tuesday Dec December 366 24 11 PM 31 31 %"),
            (4_107_542_400, "2100-03-01 00:00:00 Mon Monday Mar March 060 00 12 AM 1  1 %"),
        ] {
            assert_eq!(strftime(all, seconds), expected);
        }
        assert_eq!(strftime("%Q %-Q %", 0), "%Q %-Q %");
    }
}
