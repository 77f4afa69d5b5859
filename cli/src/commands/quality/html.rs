//! The report of `caim quality` as one page that needs nothing else.

use std::fmt::Write;

use caim_connectors::{Checked, Quality};

use super::percent;
use crate::output::grouped;

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid #8884; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.failed td:first-child { color: #c0261c; font-weight: 600; } .ok td:first-child { color: #1a7f45; }
code { font-size: .85em; opacity: .75; } .silent { opacity: .6; }";

/// The page of a node's report.
pub(super) fn page(node: &str, quality: &Quality) -> String {
    let failed = quality.checks.iter().filter(|check| !check.passed()).count();
    let looked = quality.checks.iter().filter(|check| check.checked > 0).count();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Data quality of {node}</title>\
         <style>{STYLE}</style></head><body>\n<h1>Data quality of {node}</h1>\n\
         <p>Epoch {}, checks of version {}. {failed} of {looked} checks failed. Counts are exact: this page is for the \
         operator of the node and does not leave it.</p>\n",
        quality.epoch,
        quality.version,
        node = escaped(node),
    );
    let mut categories: Vec<&str> = Vec::new();
    for check in &quality.checks {
        if !categories.contains(&check.category.as_str()) {
            categories.push(&check.category);
        }
    }
    for category in categories {
        let checks = quality.checks.iter().filter(|check| check.category == category);
        section(&mut page, category, checks);
    }
    page.push_str("</body></html>\n");
    page
}

fn section<'c>(page: &mut String, category: &str, checks: impl Iterator<Item = &'c Checked>) {
    // Writing to a text cannot fail.
    let _ = write!(
        page,
        "<h2>{}</h2>\n<table><thead><tr><th>Outcome<th>What should hold<th class=number>Checked<th class=number>Failed\
         <th class=number>%<th class=number>Limit %</tr></thead><tbody>\n",
        escaped(category)
    );
    for check in checks {
        let (class, word) = match check {
            check if check.checked == 0 => ("silent", "nothing there"),
            check if check.passed() => ("ok", "ok"),
            _ => ("failed", "failed"),
        };
        let _ = writeln!(
            page,
            "<tr class={class}><td>{word}<td>{}<br><code>{}</code><td class=number>{}<td class=number>{}\
             <td class=number>{}<td class=number>{}</tr>",
            escaped(&check.says),
            escaped(&check.name),
            grouped(&check.checked.to_string()),
            grouped(&check.failed.to_string()),
            percent(check.share()),
            percent(check.limit),
        );
    }
    page.push_str("</tbody></table>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
