//! What an export of changes says to be gone: lines of Bundles whose entries are requests to delete.

use serde::Deserialize;

use crate::fhir::path;

#[derive(Deserialize)]
struct Bundle {
    #[serde(rename = "resourceType")]
    kind: String,
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
}

/// Type and id of each resource that is gone.
///
/// # Errors
/// When an entry says anything else: what is not understood must not stay in silence.
pub(super) fn read(text: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut gone = Vec::new();
    for line in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let bundle: Bundle = serde_json::from_slice(line)
            .map_err(|_| "a file of deleted resources has a line that is no Bundle of requests".to_owned())?;
        if bundle.kind != "Bundle" {
            return Err("a file of deleted resources has a line that is no Bundle".to_owned());
        }
        for Entry { request: Request { method, url } } in bundle.entry {
            let target = if url.contains('?') { None } else { path::target(&url) };
            match target {
                Some((Some(ty), id)) if method == "DELETE" => gone.push((ty.to_owned(), id.to_owned())),
                _ => return Err("an entry of its deleted resources names none".to_owned()),
            }
        }
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_to_delete_name_resources_and_nothing_else_is_understood() {
        let line = |method: &str, url: &str| {
            format!(
                r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"{method}","url":"{url}"}}}}]}}"#
            )
        };
        let both = format!(
            "{}\n\n{}\n",
            line("DELETE", "Patient/1"),
            line("DELETE", "http://h/fhir/Condition/c/_history/2")
        );
        let pair = |ty: &str, id: &str| (ty.to_owned(), id.to_owned());
        assert_eq!(read(both.as_bytes()), Ok(vec![pair("Patient", "1"), pair("Condition", "c")]));
        for text in [
            line("PUT", "Patient/1"),
            line("DELETE", "Patient?a=/b/Patient/1"),
            line("DELETE", "1"),
            "{}".to_owned(),
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
