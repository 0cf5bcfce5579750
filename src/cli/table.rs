//! Tables for eyes: a line a row where there is room, else as many lines as a row needs.
//!
//! In: rows of which the first cell is what a row is about. Out: text that fits the columns that there are.
//!
//! Absent on purpose: shortening. A part of a name or a path is of no use.

use std::array;
use std::fmt::Write as _;

/// What stands between cells.
const GAP: &str = "  ";

/// Draws the rows. Where they are wider than `width`, the first cell has a line of its own, and those below it are set in.
pub(crate) fn draw<const N: usize>(rows: &[[String; N]], width: Option<usize>) -> String {
    let widths: [usize; N] =
        array::from_fn(|column| rows.iter().map(|row| length(&row[column])).max().unwrap_or_default());
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
    let fits = |taken: usize| width.is_none_or(|width| taken <= width);
    let mut text = String::new();
    for row in rows {
        if fits(total(&widths)) {
            let _ = writeln!(text, "{}", aligned(row, &widths));
            continue;
        }
        let Some((first, rest)) = row.split_first() else { continue };
        let _ = writeln!(text, "{first}");
        if fits(GAP.len() + total(&widths[1..])) {
            let _ = writeln!(text, "{GAP}{}", aligned(rest, &widths[1..]));
        } else {
            packed(&mut text, rest, &fits);
        }
    }
    text
}

fn length(cell: &str) -> usize {
    cell.chars().count()
}

/// The cells below those of the other rows.
fn aligned(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
    padded.join(GAP).trim_end().to_owned()
}

/// The cells one after the other, on as many lines as they take.
fn packed(text: &mut String, cells: &[String], fits: &dyn Fn(usize) -> bool) {
    let mut taken = 0;
    for cell in cells {
        let more = GAP.len() + length(cell);
        if taken > 0 && !fits(taken + more) {
            text.push('\n');
            taken = 0;
        }
        let _ = write!(text, "{GAP}{cell}");
        taken += more;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "models/of/the/acme/company/quux-7b-instruct";
    const NAME: &str = "AcmeQuuxForConditionalGeneration";

    #[test]
    fn a_table_takes_as_many_lines_as_it_needs_and_loses_nothing() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [row([PATH, NAME, "vision_language"]), row(["a", "Quux", "transformers"])];
        let whole = format!("{PATH}  {NAME}  vision_language\n{:43}  {:32}  transformers\n", "a", "Quux");
        assert_eq!(draw(&rows, None), whole);
        assert_eq!(draw(&rows, Some(94)), whole);
        let pairs = format!("{PATH}\n  {NAME}  vision_language\na\n  {:32}  transformers\n", "Quux");
        assert_eq!(draw(&rows, Some(93)), pairs);
        assert_eq!(draw(&rows, Some(51)), pairs);
        let packed = format!("{PATH}\n  {NAME}\n  vision_language\na\n  Quux  transformers\n");
        assert_eq!(draw(&rows, Some(50)), packed);
        let least = format!("{PATH}\n  {NAME}\n  vision_language\na\n  Quux\n  transformers\n");
        assert_eq!(draw(&rows, Some(1)), least);
        assert_eq!(draw::<3>(&[], Some(60)), "");
    }
}
