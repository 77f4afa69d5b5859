//! The report of `caim quality` as one page that needs nothing else: no script, no other file, no address.
//!
//! What is shown of the list is chosen by radio buttons that the style sheet looks at; a reader without it shows all.

use std::fmt::Write;

use caim_connectors::{Checked, Gaps, Quality, Status};

use super::{count, gaps, limit_percent, one_line, percent};
use crate::output::grouped;

const STYLE: &str = include_str!("quality.css");

/// The page of a node's report.
pub(super) fn page(node: &str, quality: &Quality) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Data quality of {node}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        node = escaped(node),
    );
    head(&mut page, node, quality);
    summary(&mut page, quality);
    failures(&mut page, quality);
    coverage(&mut page, quality);
    all_checks(&mut page, quality);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn head(page: &mut String, node: &str, quality: &Quality) {
    let failed = count(quality, None, Status::Failed);
    let looked = failed + count(quality, None, Status::Passed);
    let (class, verdict) = match failed {
        0 => ("passed", format!("All {looked} checks passed.")),
        1 => ("failed", format!("1 of {looked} checks failed.")),
        _ => ("failed", format!("{failed} of {looked} checks failed.")),
    };
    push(
        page,
        format_args!(
            "<header>\n<h1>Data quality of {}</h1>\n<p class=\"verdict {class}\">{verdict}</p>\n\
             <p class=\"note\">Epoch {}, checks of version {}. Counts are exact and values of sources are named: this page \
             is for the operator of the node and does not leave it.</p>\n</header>\n",
            escaped(node),
            quality.epoch,
            quality.version,
        ),
    );
}

fn summary(page: &mut String, quality: &Quality) {
    page.push_str(
        "<section aria-labelledby=\"summary\">\n<h2 id=\"summary\">Summary</h2>\n<table class=\"summary\">\n<thead><tr>\
         <th scope=\"col\">Category</th><th scope=\"col\" class=\"number\">Failed</th>\
         <th scope=\"col\" class=\"number\">Passed</th>\
         <th scope=\"col\" class=\"number\">Nothing there</th></tr></thead>\n<tbody>\n",
    );
    for category in Quality::categories() {
        let counts = [Status::Failed, Status::Passed, Status::Silent];
        let [failed, passed, silent] = counts.map(|status| count(quality, Some(category), status));
        let class = if failed == 0 { "number" } else { "number failed" };
        push(
            page,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td class=\"{class}\">{failed}</td><td class=\"number\">{passed}</td>\
                 <td class=\"number\">{silent}</td></tr>\n",
                title(category)
            ),
        );
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
}

/// The checks that failed, those furthest beyond their limit first.
fn failures(page: &mut String, quality: &Quality) {
    let mut failed: Vec<&Checked> = quality.ended(Status::Failed).collect();
    let beyond = |check: &Checked| check.share() - check.limit;
    failed.sort_by(|a, b| beyond(b).total_cmp(&beyond(a)).then(b.failed.cmp(&a.failed)));
    page.push_str("<section aria-labelledby=\"failures\">\n<h2 id=\"failures\">What failed</h2>\n");
    if failed.is_empty() {
        page.push_str("<p>Nothing.</p>\n");
    } else {
        checks(page, "Checks that failed, the worst first", &failed);
    }
    page.push_str("</section>\n");
}

fn all_checks(page: &mut String, quality: &Quality) {
    page.push_str("<section aria-labelledby=\"checks\">\n<h2 id=\"checks\">All checks</h2>\n");
    page.push_str("<fieldset class=\"filter\">\n<legend>Show</legend>\n");
    let [failed, passed, silent] =
        [Status::Failed, Status::Passed, Status::Silent].map(|status| count(quality, None, status));
    let choices = [
        ("looked", "failed and passed", failed + passed),
        ("only-failed", "failed", failed),
        ("only-passed", "passed", passed),
        ("only-silent", "nothing there", silent),
        ("all", "all", quality.checks.len()),
    ];
    for (id, label, number) in choices {
        let checked = if id == "looked" { " checked" } else { "" };
        push(
            page,
            format_args!(
                "<label><input type=\"radio\" name=\"show\" id=\"show-{id}\"{checked}> {label} ({number})</label>\n"
            ),
        );
    }
    page.push_str("</fieldset>\n");
    for category in Quality::categories() {
        let of_category: Vec<&Checked> =
            quality.checks.iter().filter(|check| check.category == *category).collect();
        let title = title(category);
        push(page, format_args!("<h3 id=\"{category}\">{title}</h3>\n"));
        checks(page, &format!("Checks of {category}"), &of_category);
    }
    page.push_str("</section>\n");
}

fn checks(page: &mut String, caption: &str, checks: &[&Checked]) {
    push(
        page,
        format_args!(
            "<table class=\"checks\">\n<caption>{caption}</caption>\n<thead><tr><th scope=\"col\">Outcome</th>\
             <th scope=\"col\">What should hold</th><th scope=\"col\" class=\"number\">Checked</th>\
             <th scope=\"col\" class=\"number\">Failed</th><th scope=\"col\" class=\"number\">Share</th>\
             <th scope=\"col\" class=\"number\">Limit</th></tr></thead>\n<tbody>\n"
        ),
    );
    for check in checks {
        let (class, word) = match check.status() {
            Status::Failed => ("failed", "failed"),
            Status::Passed => ("passed", "passed"),
            Status::Silent => ("silent", "nothing there"),
        };
        push(
            page,
            format_args!(
                "<tr class=\"{class}\"><td class=\"outcome\">{word}</td><td>{} <code>{}</code></td>\
                 <td class=\"number\" data-label=\"checked\">{}</td><td class=\"number\" data-label=\"failed\">{}</td>\
                 <td class=\"number\" data-label=\"share\">{} %</td><td class=\"number\" data-label=\"limit\">{} %</td></tr>\n",
                breakable(&check.says),
                breakable(&check.name),
                grouped(&check.checked.to_string()),
                grouped(&check.failed.to_string()),
                percent(check.failed, check.checked),
                limit_percent(check.limit),
            ),
        );
    }
    page.push_str("</tbody>\n</table>\n");
}

fn coverage(page: &mut String, quality: &Quality) {
    if quality.coverage.is_empty() {
        return;
    }
    let gaps = gaps(quality);
    let whole: Vec<&Gaps> = quality.coverage.iter().filter(|gap| gap.rows == gap.rows_mapped).collect();
    push(
        page,
        format_args!(
            "<section aria-labelledby=\"coverage\">\n<h2 id=\"coverage\">Mapping coverage</h2>\n\
             <p>Rows of which a source says something, and of those the ones with a concept. Named are the most frequent \
             values without one that at least {} patients have; <code>caim ontology coverage</code> lists more and makes a \
             mapping file of them.</p>\n<table class=\"coverage\">\n<caption>Coded columns, those with most rows without a \
             concept first</caption>\n<thead><tr><th scope=\"col\">Column</th><th scope=\"col\" class=\"number\">Rows</th>\
             <th scope=\"col\" class=\"number\">With a concept</th>\
             <th scope=\"col\">Values without a concept (rows)</th></tr></thead>\n<tbody>\n",
            quality.threshold
        ),
    );
    for gap in gaps.into_iter().chain(whole) {
        let values = gap.unmapped.iter().map(|value| {
            format!("<li>{} ({})</li>", breakable(&one_line(&value.value)), grouped(&value.rows.to_string()))
        });
        let values: String = values.collect();
        let values = if values.is_empty() { values } else { format!("<ul>{values}</ul>") };
        push(
            page,
            format_args!(
                "<tr><th scope=\"row\"><code>{}</code></th><td class=\"number\" data-label=\"rows\">{}</td>\
                 <td class=\"number\" data-label=\"with a concept\">{} %</td><td>{values}</td></tr>\n",
                breakable(&format!("{}.{}", gap.table, gap.column)),
                grouped(&gap.rows.to_string()),
                percent(gap.rows_mapped, gap.rows),
            ),
        );
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = page.write_fmt(text);
}

fn title(category: &str) -> String {
    let mut letters = category.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Escaped, and with places where long names may break.
fn breakable(text: &str) -> String {
    escaped(text).replace('_', "_<wbr>").replace('.', ".<wbr>").replace(':', ":<wbr>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
