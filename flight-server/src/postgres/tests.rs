//! The door over real sockets, spoken to byte by byte.

use std::sync::Arc;
use std::time::Duration;

use caim_engine::Nodes;
use caim_engine::hub::Hub;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use super::PostgresDoor;
use crate::identity::{DevIdentity, DevUser};
use crate::testing::{self, Hanging, Here, PUBLIC, models, next};

const BY_MODALITY: &str =
    "SELECT Modality, count(DISTINCT PatientID) AS n FROM dicom.series GROUP BY Modality ORDER BY Modality";

/// An open door with what is behind it.
struct Open {
    address: std::net::SocketAddr,
    _folders: Vec<TempDir>,
    _open: oneshot::Sender<()>,
}

async fn open_over(nodes: impl Nodes + 'static, folders: Vec<TempDir>) -> Open {
    let door = PostgresDoor::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = door.address();
    let hub = Arc::new(Hub::new(models(), Arc::new(nodes), Duration::from_secs(60)));
    let (open, closed) = oneshot::channel::<()>();
    let user = DevUser { password: "secret".to_owned(), projects: vec!["demo".to_owned()] };
    let identity = DevIdentity { users: [("ana".to_owned(), user)].into(), anonymous: None };
    tokio::spawn(async move { door.serve(hub, identity, async move { drop(closed.await) }).await });
    Open { address, _folders: folders, _open: open }
}

async fn open() -> Open {
    let (dir, node) = testing::node("north", &[("CT", 12), ("MR", 3)], PUBLIC);
    open_over(Here::new(&[node]), vec![dir]).await
}

/// A hub whose one node never answers, and what happens at it.
async fn hanging() -> (Open, mpsc::UnboundedReceiver<&'static str>) {
    let (events, happened) = mpsc::unbounded_channel();
    (open_over(Here::new(&[]).and(Hanging::new("north", PUBLIC, &events)), Vec::new()).await, happened)
}

/// A message of the server: its letter and its body.
type Message = (u8, Vec<u8>);

/// A client that speaks the protocol and nothing else.
struct Wire {
    stream: TcpStream,
    key: Vec<u8>,
}

impl Wire {
    async fn connect(open: &Open, password: &str) -> Result<Self, String> {
        let mut wire = Self { stream: TcpStream::connect(open.address).await.unwrap(), key: Vec::new() };
        let mut start = 196_608u32.to_be_bytes().to_vec();
        start.extend(b"user\0ana\0database\0caim\0\0");
        wire.send(None, &start).await;
        assert_eq!(wire.message().await.0, b'R');
        wire.send(Some(b'p'), format!("{password}\0").as_bytes()).await;
        loop {
            match wire.message().await {
                (b'K', key) => wire.key = key,
                (b'Z', _) => return Ok(wire),
                (b'E', body) => return Err(text(&body)),
                _ => {}
            }
        }
    }

    async fn send(&mut self, letter: Option<u8>, body: &[u8]) {
        let mut bytes: Vec<u8> = letter.into_iter().collect();
        bytes.extend((body.len() as u32 + 4).to_be_bytes());
        bytes.extend(body);
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        let letter = self.stream.read_u8().await.unwrap();
        let length = self.stream.read_u32().await.unwrap() as usize;
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).await.unwrap();
        (letter, body)
    }

    async fn ask(&mut self, sql: &str) {
        self.send(Some(b'Q'), format!("{sql}\0").as_bytes()).await;
    }

    /// Everything until the server is ready again.
    async fn answer(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            match self.message().await {
                (b'Z', _) => return messages,
                message => messages.push(message),
            }
        }
    }

    async fn says(&mut self, sql: &str) -> Vec<Message> {
        self.ask(sql).await;
        self.answer().await
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).replace('\0', "|")
}

/// The values of the rows among some messages.
fn rows(messages: &[Message]) -> Vec<Vec<String>> {
    let row = |body: &[u8]| {
        let (mut rest, mut values) = (&body[2..], Vec::new());
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (value, after) = after.split_at(i32::from_be_bytes(*length).max(0) as usize);
            values.push(String::from_utf8_lossy(value).into_owned());
            rest = after;
        }
        values
    };
    messages.iter().filter(|(letter, _)| *letter == b'D').map(|(_, body)| row(body)).collect()
}

fn error(messages: &[Message]) -> String {
    messages.iter().find(|(letter, _)| *letter == b'E').map(|(_, body)| text(body)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_with_its_completeness() {
    let open = open().await;
    let mut wire = Wire::connect(&open, "secret").await.unwrap();
    let messages = wire.says(BY_MODALITY).await;
    assert_eq!(rows(&messages), [["CT", "12"], ["MR", "3"]]);
    let notice = messages.iter().find(|(letter, _)| *letter == b'N').unwrap();
    assert!(text(&notice.1).contains("1 of 1 nodes answered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_an_error_and_the_next_question_is_answered() {
    let open = open().await;
    let mut wire = Wire::connect(&open, "secret").await.unwrap();
    let refused = error(&wire.says("SELECT * FROM dicom.series").await);
    assert!(refused.contains("C42501") && refused.contains("CAIM-P101"), "{refused}");
    assert_eq!(rows(&wire.says("SELECT 1").await), [["1"]]);
    let written = error(&wire.says("DROP TABLE dicom.series").await);
    assert!(written.contains("C0A000"), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_with_a_wrong_password() {
    let open = open().await;
    let refused = Wire::connect(&open, "guess").await.err().unwrap();
    assert!(refused.contains("C28P01"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_the_connections_own() {
    let open = open().await;
    let mut first = Wire::connect(&open, "secret").await.unwrap();
    let refused = error(&first.says("SET caim.project = 'theirs'").await);
    assert!(refused.contains("CAIM-A002") && refused.contains("C42501"), "{refused}");
    assert_eq!(first.says("SET caim.noise_sd = 8; SET client_encoding TO 'UTF8'").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_closes_ends_the_work_at_the_node() {
    let (open, mut happened) = hanging().await;
    let mut wire = Wire::connect(&open, "secret").await.unwrap();
    wire.ask(BY_MODALITY).await;
    assert_eq!(next(&mut happened).await, Some("began"));
    drop(wire);
    assert_eq!(next(&mut happened).await, Some("dropped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_closes_with_bytes_unread_ends_the_work_as_well() {
    let (open, mut happened) = hanging().await;
    let mut wire = Wire::connect(&open, "secret").await.unwrap();
    wire.ask(BY_MODALITY).await;
    assert_eq!(next(&mut happened).await, Some("began"));
    wire.ask("SELECT 1").await;
    drop(wire);
    assert_eq!(next(&mut happened).await, Some("dropped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_ends_the_work_at_the_node_and_leaves_the_connection() {
    let (open, mut happened) = hanging().await;
    let mut wire = Wire::connect(&open, "secret").await.unwrap();
    wire.ask(BY_MODALITY).await;
    assert_eq!(next(&mut happened).await, Some("began"));
    let mut cancel = 80_877_102u32.to_be_bytes().to_vec();
    cancel.extend(&wire.key);
    let mut other = Wire { stream: TcpStream::connect(open.address).await.unwrap(), key: Vec::new() };
    other.send(None, &cancel).await;
    assert_eq!(next(&mut happened).await, Some("dropped"));
    let cancelled = error(&wire.answer().await);
    assert!(cancelled.contains("C57014"), "{cancelled}");
    assert_eq!(rows(&wire.says("SELECT 1").await), [["1"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_with_a_wrong_key_ends_nothing() {
    let (open, mut happened) = hanging().await;
    let mut wire = Wire::connect(&open, "secret").await.unwrap();
    wire.ask(BY_MODALITY).await;
    assert_eq!(next(&mut happened).await, Some("began"));
    let mut cancel = 80_877_102u32.to_be_bytes().to_vec();
    cancel.extend(wire.key.iter().enumerate().map(|(i, byte)| if i < 4 { *byte } else { !byte }));
    let mut other = Wire { stream: TcpStream::connect(open.address).await.unwrap(), key: Vec::new() };
    other.send(None, &cancel).await;
    // The server closes a connection for cancelling once it has looked at the key.
    assert_eq!(other.stream.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(happened.try_recv().is_err(), "the question still runs");
}
