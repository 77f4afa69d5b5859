//! A server of one export: two files, wanted with a token, and one fault; and of the changes since.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) const TOKEN: &str = "not-to-be-shown";
pub(crate) const PATIENTS: &str = "{\"resourceType\":\"Patient\",\"id\":\"a\",\"identifier\":[{\"type\":{\"coding\":[{\"code\":\"MR\"}]},\"value\":\"CANARY-7\"}]}\n{\"resourceType\":\"Patient\",\"id\":\"b\"}\n";
pub(crate) const CONDITIONS: &str = "{\"resourceType\":\"Condition\",\"id\":\"c1\",\"subject\":{\"reference\":\"Patient/a\"}}\n\
    {\"resourceType\":\"Condition\",\"id\":\"c2\",\"subject\":{\"reference\":\"Patient/b\"}}\n\
    {\"resourceType\":\"Condition\",\"id\":\"c3\",\"subject\":{\"reference\":\"Patient/b\"}}\n";

/// Up to when the export tells, the one of changes since, the one after that, which tells only what is gone, and the one
/// after that, which tells nothing.
pub(crate) const MOMENTS: [&str; 4] =
    ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00.5+01:00", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"];
/// A new one, and one with another identifier than before.
pub(crate) const NEW_PATIENT: &str = "{\"resourceType\":\"Patient\",\"id\":\"c\"}\n\
    {\"resourceType\":\"Patient\",\"id\":\"b\",\"identifier\":[{\"type\":{\"coding\":[{\"code\":\"MR\"}]},\"value\":\"CANARY-8\"}]}\n";
/// One told anew, two new ones, and one of a patient whom nobody tells.
pub(crate) const CHANGED: &str = "{\"resourceType\":\"Condition\",\"id\":\"c1\",\"subject\":{\"reference\":\"Patient/a\"},\"clinicalStatus\":{\"coding\":[{\"code\":\"resolved\"}]}}\n\
    {\"resourceType\":\"Condition\",\"id\":\"c4\",\"subject\":{\"reference\":\"Patient/a\"}}\n\
    {\"resourceType\":\"Condition\",\"id\":\"c5\",\"subject\":{\"reference\":\"Patient/c\"}}\n\
    {\"resourceType\":\"Condition\",\"id\":\"c6\",\"subject\":{\"reference\":\"Patient/nobody\"}}\n";
/// The third condition, and one that never was.
const GONE: &str = "{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{\"request\":{\"method\":\"DELETE\",\"url\":\"Condition/c3\"}}]}\n\
    {\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{\"request\":{\"method\":\"DELETE\",\"url\":\"Condition/c9\"}}]}\n";

const GONE_LATER: &str = "{\"resourceType\":\"Bundle\",\"entry\":[{\"request\":{\"method\":\"DELETE\",\"url\":\"Condition/c4\"}}]}\n";

/// What is wrong with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// This status for the first request of each address.
    Once(u16),
    /// This status for each request.
    Always(u16),
    /// The first time each file breaks off.
    TornOnce,
    /// The export is running when it is asked for first.
    Slow,
    /// The export is running, and wants to be asked again after an age.
    Patient,
    /// The kick-off is answered with 200.
    NoExport,
    /// The export is gone when it is asked for.
    Expired,
    /// The export fails at the server.
    Failed,
    NoManifest,
    /// A page of HTML in the place of a file.
    Page,
    /// A file that ends between two lines.
    Short,
    /// Files at another server.
    Elsewhere,
    /// Files of errors.
    Errors,
    /// Files that want no token.
    NoToken,
}

/// How a file was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    WithToken,
    WithoutToken,
}

pub(crate) struct Server {
    address: String,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    asked: Vec<String>,
    answers: Vec<Answer>,
}

/// Status, further headers, body, and how long it claims to be.
struct Reply(u16, String, String, usize);

impl Server {
    pub(crate) fn with(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Log::default()));
        let (shared, base) = (Arc::clone(&log), address.clone());
        // It ends with the process of the test.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = answer(stream.unwrap(), fault, &base, &shared);
            }
        });
        Self { address, log }
    }

    pub(crate) fn export(&self) -> String {
        format!("{}/fhir/$export", self.address)
    }

    /// Method and address of every request.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.log.lock().unwrap().asked.clone()
    }

    /// How the files were asked for.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        self.log.lock().unwrap().answers.clone()
    }
}

fn answer(stream: TcpStream, fault: Fault, base: &str, log: &Mutex<Log>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let headers: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_lowercase())
        .collect();
    let has = |header: &str| headers.iter().any(|line| line == header);
    let request = request.trim_end_matches(" HTTP/1.1").to_owned();
    let token = has(&format!("authorization: bearer {TOKEN}"));
    let is_first = {
        let mut log = log.lock().unwrap();
        let is_first = !log.asked.contains(&request);
        log.asked.push(request.clone());
        if request.contains("/files/") {
            log.answers.push(if token { Answer::WithToken } else { Answer::WithoutToken });
        }
        is_first
    };
    let path = request.split('?').next().unwrap_or_default();
    let may = token || (fault == Fault::NoToken && path.contains("/files/"));
    let Reply(status, more, body, length) = match fault {
        Fault::Always(status) => reply(status, "canary"),
        Fault::Once(status) if is_first => with(status, "Retry-After: 0\r\n", "canary"),
        _ if !may => reply(401, "canary"),
        _ if path == "GET /fhir/$export" && !has("prefer: respond-async") => reply(400, "canary"),
        _ if request.contains("_since=2026-01-01T00%3A00%3A00Z") => begun(2, base),
        _ if request.contains("_since=2026-02-01") => begun(3, base),
        _ if request.contains("_since=") => begun(4, base),
        _ => of_export(path, fault, is_first, base),
    };
    let mut stream = stream;
    let head =
        format!("HTTP/1.1 {status} Told\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

fn of_export(path: &str, fault: Fault, is_first: bool, base: &str) -> Reply {
    match path {
        "GET /fhir/$export" if fault == Fault::NoExport => reply(200, "{}"),
        "GET /fhir/$export" => begun(1, base),
        "GET /fhir/status/2" => reply(200, &changes(base)),
        "GET /fhir/status/3" => reply(200, &only_deleted(base)),
        "GET /fhir/status/4" => reply(200, &no_changes()),
        "GET /fhir/files/d3" => file(GONE_LATER, fault, is_first),
        "GET /fhir/files/p2" => file(NEW_PATIENT, fault, is_first),
        "GET /fhir/files/c2" => file(CHANGED, fault, is_first),
        "GET /fhir/files/d2" => file(GONE, fault, is_first),
        "GET /fhir/status/1" => match fault {
            Fault::Expired => reply(404, "canary"),
            Fault::Failed => reply(500, "canary"),
            Fault::NoManifest => reply(200, "{\"canary\":1}"),
            Fault::Patient if is_first => with(202, "Retry-After: 1\r\n", ""),
            Fault::Patient => with(202, &format!("Retry-After: {}\r\n", u64::MAX), ""),
            Fault::Slow if is_first => with(202, "Retry-After: 0\r\nX-Progress: canary\r\n", ""),
            _ => reply(200, &manifest(fault, base)),
        },
        "GET /fhir/files/p" if fault == Fault::Page => {
            with(200, "Content-Type: text/html\r\n", "<p>canary</p>")
        }
        "GET /fhir/files/p" => file(PATIENTS, fault, is_first),
        "GET /fhir/files/c" if fault == Fault::Short => {
            let cut = CONDITIONS.trim_end().rfind('\n').unwrap();
            file(&CONDITIONS[..=cut], fault, is_first)
        }
        "GET /fhir/files/c" => file(CONDITIONS, fault, is_first),
        "GET /fhir/files/e" => {
            file("{\"diagnostics\":\"canary\"}\n{\"diagnostics\":\"canary\"}\n", fault, is_first)
        }
        "DELETE /fhir/status/1"
        | "DELETE /fhir/status/2"
        | "DELETE /fhir/status/3"
        | "DELETE /fhir/status/4" => reply(202, ""),
        _ => reply(404, "canary"),
    }
}

fn manifest(fault: Fault, base: &str) -> String {
    let host = if fault == Fault::Elsewhere { "https://elsewhere.example.org" } else { base };
    let errors = match fault {
        Fault::Errors => format!(r#"{{"type":"OperationOutcome","url":"{base}/fhir/files/e"}}"#),
        _ => String::new(),
    };
    format!(
        r#"{{"transactionTime":"2026-01-01T00:00:00Z","request":"canary","requiresAccessToken":{},"output":[{{"type":"Patient","url":"{host}/fhir/files/p"}},{{"type":"Condition","url":"{host}/fhir/files/c","count":3}}],"error":[{errors}]}}"#,
        fault != Fault::NoToken
    )
}

fn begun(number: u32, base: &str) -> Reply {
    with(202, &format!("Content-Location: {base}/fhir/status/{number}\r\n"), "")
}

fn changes(base: &str) -> String {
    let file = |ty: &str, name: &str| format!(r#"{{"type":"{ty}","url":"{base}/fhir/files/{name}"}}"#);
    let (output, deleted) =
        ([file("Patient", "p2"), file("Condition", "c2")].join(","), file("Bundle", "d2"));
    format!(
        r#"{{"transactionTime":"{}","requiresAccessToken":true,"output":[{output}],"deleted":[{deleted}]}}"#,
        MOMENTS[1]
    )
}

fn only_deleted(base: &str) -> String {
    format!(
        r#"{{"transactionTime":"{}","requiresAccessToken":true,"output":[],"deleted":[{{"type":"Bundle","url":"{base}/fhir/files/d3"}}]}}"#,
        MOMENTS[2]
    )
}

fn no_changes() -> String {
    format!(r#"{{"transactionTime":"{}","requiresAccessToken":true,"output":[]}}"#, MOMENTS[3])
}

fn file(body: &str, fault: Fault, is_first: bool) -> Reply {
    let Reply(status, more, body, length) = with(200, "Content-Type: application/fhir+ndjson\r\n", body);
    let claimed = if fault == Fault::TornOnce && is_first { length + 10 } else { length };
    Reply(status, more, body, claimed)
}

fn reply(status: u16, body: &str) -> Reply {
    with(status, "", body)
}

fn with(status: u16, more: &str, body: &str) -> Reply {
    Reply(status, more.to_owned(), body.to_owned(), body.len())
}
