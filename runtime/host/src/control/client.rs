//! The asking side of the control socket, for the command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::net::UnixStream;

use crate::codes::Code;
use crate::error::{CliError, chain};

/// How long an answer that is not followed may take.
const ANSWER: Duration = Duration::from_secs(10);
/// The largest answer, and the longest line of a followed one, in bytes.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// What is escaped in a step of a path.
const STEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A running host that can be asked.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// A client of the host whose socket is at `socket`. Connects at each question.
    ///
    /// # Errors
    /// [`Code::Machine`] when the system gives no event loop.
    pub fn new(socket: &Path) -> Result<Self, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::new(Code::Machine, "cannot ask the host", error.to_string()))?;
        Ok(Self { socket: socket.to_owned(), runtime })
    }

    /// The answer to `GET path`.
    ///
    /// # Errors
    /// [`Code::Control`] when the host does not answer, otherwise the host's own error.
    pub fn get(&self, path: &str) -> Result<Value, CliError> {
        self.call(Method::GET, path, Bytes::new())
    }

    /// The answer to a question with `method` and `body`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Value, CliError> {
        self.runtime.block_on(async {
            let work = async {
                let response = self.send(method, path, body).await?;
                whole(response).await
            };
            match tokio::time::timeout(ANSWER, work).await {
                Ok(answer) => answer,
                Err(_) => Err(lost(&self.socket, "it did not answer within 10 seconds")),
            }
        })
    }

    /// The bytes that answer `GET path`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn bytes(&self, path: &str) -> Result<Bytes, CliError> {
        self.runtime.block_on(async {
            let work = async {
                let response = self.send(Method::GET, path, Bytes::new()).await?;
                if !response.status().is_success() {
                    return whole(response).await.map(|_| Bytes::new());
                }
                let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
                Ok(body.map_err(|error| lost(&self.socket, &error.to_string()))?.to_bytes())
            };
            match tokio::time::timeout(ANSWER, work).await {
                Ok(answer) => answer,
                Err(_) => Err(lost(&self.socket, "it did not answer within 10 seconds")),
            }
        })
    }

    /// Hands every object that `GET path` sends to `each` until it says `false` or the host ends.
    ///
    /// # Errors
    /// As [`Client::get`]; a host that ends while it is followed is no error.
    pub fn follow(&self, path: &str, mut each: impl FnMut(Value) -> bool) -> Result<(), CliError> {
        self.runtime.block_on(async {
            let response = self.send(Method::GET, path, Bytes::new()).await?;
            if !response.status().is_success() {
                return whole(response).await.map(|_| ());
            }
            let mut body = response.into_body();
            let mut pending = Vec::new();
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(data) = frame.into_data() else { continue };
                pending.extend_from_slice(&data);
                if !drain_lines(&mut pending, &mut each) || pending.len() > ANSWER_MAX {
                    return Ok(());
                }
            }
            Ok(())
        })
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, CliError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| lost(&self.socket, &error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| lost(&self.socket, &chain(&error)))?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "cyte")
            .body(Full::new(body))
            .map_err(|error| {
                CliError::new(Code::Usage, format!("cannot ask for `{path}`"), error.to_string())
            })?;
        sender.send_request(request).await.map_err(|error| lost(&self.socket, &chain(&error)))
    }
}

/// Hands over every whole line; says whether more are wanted.
fn drain_lines(pending: &mut Vec<u8>, each: &mut impl FnMut(Value) -> bool) -> bool {
    while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = pending.drain(..=end).collect();
        if let Ok(value) = serde_json::from_slice(&line)
            && !each(value)
        {
            return false;
        }
    }
    true
}

async fn whole(response: Response<Incoming>) -> Result<Value, CliError> {
    let ok = response.status().is_success();
    let unreadable =
        || CliError::new(Code::Control, "cannot read the host's answer", "it is not JSON of ours");
    let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await.map_err(|_| unreadable())?;
    let value: Value = serde_json::from_reader(body.aggregate().reader()).map_err(|_| unreadable())?;
    if ok { Ok(value) } else { Err(hosts_error(&value).unwrap_or_else(unreadable)) }
}

/// The host's error as it would have been here, where `value` holds one.
pub(crate) fn hosts_error(value: &Value) -> Option<CliError> {
    let error = value.get("error")?;
    let text = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
    let code = Code::parse(&text("code")?)?;
    let mut made = CliError::new(code, text("what")?, text("why")?);
    made.help = text("help");
    Some(made)
}

fn lost(socket: &Path, why: &str) -> CliError {
    CliError::new(Code::Control, format!("cannot ask the host at `{}`", socket.display()), why)
        .help("cyte ps --state DIR, or start a host: cyte run PATH")
}

/// `text` as one step of a path: everything but plain characters escaped.
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, STEP).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{
        CellView, Felt, HormoneView, HostView, LimitView, Ordered, Recorded, Released, WishView, server,
    };
    use crate::event::{EventLog, Happening};
    use crate::hormones::Hormone;
    use crate::log::{GuestLog, Said, Show, Stream};
    use crate::state::tests::{Scratch, scratch};
    use cyte_engine::capability::control::Refused;
    use serde_json::json;
    use std::sync::{Arc, Mutex};
    use tokio::sync::watch;

    struct Fake {
        events: Arc<EventLog>,
        recorder: Arc<crate::record::Recorder>,
        logs: Arc<GuestLog>,
        secrets: Mutex<Vec<(u32, String, Vec<u8>)>>,
        wishes: crate::wishes::Wishes,
    }

    impl HormoneView for Fake {
        fn hormones(&self) -> Value {
            json!({"v": 1, "classes": []})
        }
        fn felt(&self, cell: &str) -> Result<Felt, CliError> {
            Err(CliError::new(Code::Unknown, format!("cannot say what cell `{cell}` felt"), "there is none"))
        }
        fn release(&self, _uid: u32, _hormone: &Hormone, strength: f64) -> Result<Released, CliError> {
            let (told, released) = tokio::sync::oneshot::channel();
            let refused = (strength > 1.0).then_some(cyte_organism::ReleaseError::Strength);
            told.send(refused.map_or(Ok(()), Err)).unwrap();
            Ok(released)
        }
    }

    impl CellView for Fake {
        fn divide(&self, _uid: u32, name: &str) -> Result<Ordered, CliError> {
            let (told, ordered) = tokio::sync::oneshot::channel();
            let refused = (name == "full").then_some(Refused::Most);
            told.send(refused.map_or(Ok(8), Err)).unwrap();
            Ok(ordered)
        }
        fn kill(&self, _uid: u32, name: &str, _at_once: bool) -> Result<Ordered, CliError> {
            Err(CliError::new(Code::Unknown, format!("cannot end `{name}`"), "there is none"))
        }
    }

    impl LimitView for Fake {
        fn turn_limits(&self, _: u32, _: &[(String, Option<String>)]) -> Result<Value, CliError> {
            Err(CliError::new(Code::Limit, "no", "limits"))
        }
    }

    impl HostView for Fake {
        fn status(&self) -> Value {
            json!({"v": 1, "pid": 7})
        }
        fn ps(&self) -> Value {
            json!({"v": 1, "cells": []})
        }
        fn cell(&self, id: &str) -> Option<Value> {
            (id == "front#1").then(|| json!({"v": 1, "cell": id}))
        }
        fn gene(&self, _: &str) -> Option<Value> {
            None
        }
        fn limits(&self) -> Value {
            json!({"v": 1})
        }
        fn events(&self) -> &Arc<EventLog> {
            &self.events
        }
        fn recorder(&self) -> &Arc<crate::record::Recorder> {
            &self.recorder
        }
        fn logs(&self) -> &Arc<GuestLog> {
            &self.logs
        }
        fn record(&self) -> Result<Recorded, CliError> {
            let (told, recorded) = tokio::sync::oneshot::channel();
            told.send(cyte_organism::flight::Recording::default()).unwrap();
            Ok(recorded)
        }
        fn secrets(&self) -> Vec<String> {
            self.secrets.lock().unwrap().iter().map(|(_, name, _)| name.clone()).collect()
        }
        fn set_secret(&self, uid: u32, name: &str, value: Vec<u8>) -> Result<(), CliError> {
            if name == "bad" {
                return Err(CliError::new(Code::Secret, "cannot", "because").help("cyte x"));
            }
            self.secrets.lock().unwrap().push((uid, name.into(), value));
            Ok(())
        }
        fn remove_secret(&self, _: u32, _: &str) -> Result<bool, CliError> {
            Ok(false)
        }
    }

    impl WishView for Fake {
        fn wishes(&self) -> &crate::wishes::Wishes {
            &self.wishes
        }
        fn plan(&self, name: &str, text: &str) -> Result<Value, CliError> {
            Ok(json!({"v": 1, "name": name, "planned": text}))
        }

        fn apply(&self, _: u32, name: &str, text: &str) -> Result<Value, CliError> {
            Ok(json!({"v": 1, "name": name, "text": text}))
        }
        fn why(&self, gene: Option<&str>) -> Result<Value, CliError> {
            Ok(json!({"v": 1, "gene": gene}))
        }
        fn delete_wish(&self, uid: u32, gene: &str) -> Result<Value, CliError> {
            Ok(json!({"v": 1, "uid": uid, "gene": gene}))
        }
    }

    struct Running {
        view: Arc<Fake>,
        client: Client,
        _stop: watch::Sender<bool>,
        _runtime: tokio::runtime::Runtime,
        _folder: Scratch,
    }

    fn running(name: &str) -> Running {
        let (path, _) = scratch(name);
        let socket = path.join("s");
        let state = crate::state::StateFolder::open(&path.join("state")).unwrap();
        let view = Arc::new(Fake {
            events: EventLog::new(None),
            recorder: crate::record::Recorder::new(),
            logs: GuestLog::new(None, Show::Nowhere),
            secrets: Mutex::default(),
            wishes: crate::wishes::Wishes::open(state.head(), &[]).unwrap(),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (stop, stopped) = watch::channel(false);
        let listener = runtime.block_on(async { server::bind(&socket).unwrap() });
        runtime.spawn(server::serve(listener, Arc::clone(&view) as _, stopped));
        Running { view, client: Client::new(&socket).unwrap(), _stop: stop, _runtime: runtime, _folder: path }
    }

    #[test]
    fn cells_are_made_and_ended_over_the_socket_and_refusals_come_back_whole() {
        let host = running("cells");
        let post = |path: &str| host.client.call(Method::POST, path, Bytes::new());
        let path = format!("/v1/cells/{}/divide", escape("front#7"));
        assert_eq!(post(&path).unwrap()["cell"], "front#8");
        let error = post("/v1/cells/full/divide").unwrap_err();
        assert_eq!(
            (error.code, error.help.as_deref()),
            (Code::Bounds, Some("cyte get full shows its range"))
        );
        assert_eq!(post("/v1/cells/nobody/kill?now=1").unwrap_err().code, Code::Unknown);
    }

    #[test]
    fn questions_are_answered() {
        let host = running("ask");
        assert_eq!(host.client.get("/v1/status").unwrap()["pid"], 7);
        let cell = host.client.get(&format!("/v1/cells/{}", escape("front#1"))).unwrap();
        assert_eq!(cell["cell"], "front#1");
        assert_eq!(host.client.get("/v1/genes/none").unwrap_err().code, Code::Unknown);
        assert_eq!(host.client.get("/v1/nonsense").unwrap_err().code, Code::Control);
    }

    #[test]
    fn secrets_go_over_the_socket_and_errors_come_back_whole() {
        let host = running("secrets");
        let me = rustix::process::geteuid().as_raw();
        host.client.call(Method::POST, "/v1/secrets/token", Bytes::from_static(b"v")).unwrap();
        assert_eq!(*host.view.secrets.lock().unwrap(), [(me, "token".into(), b"v".to_vec())]);
        let error = host.client.call(Method::POST, "/v1/secrets/bad", Bytes::new()).unwrap_err();
        assert_eq!((error.code, error.help.as_deref()), (Code::Secret, Some("cyte x")));
        let big = Bytes::from(vec![0; 70_000]);
        assert!(host.client.call(Method::POST, "/v1/secrets/token", big).is_err());
    }

    #[test]
    fn hormones_go_over_the_socket_and_nonsense_is_refused() {
        let host = running("hormones");
        assert_eq!(host.client.get("/v1/hormones").unwrap()["v"], 1);
        let post = |body: &'static str| {
            host.client.call(Method::POST, "/v1/hormones", Bytes::from_static(body.as_bytes()))
        };
        let answer = post(r#"{"hormone": "anti-growth.front", "strength": 0.5}"#).unwrap();
        assert_eq!(answer["hormone"], "anti-growth.front");
        for (body, word) in [
            (r#"{"hormone": "joy", "strength": 1}"#, "joy"),
            (r#"{"hormone": "growth", "strength": 2}"#, "strength"),
            (r#"{"hormone": "growth"}"#, "strength"),
            (r#"{"hormone": "growth", "strength": 1, "x": 1}"#, "x"),
            ("{", "EOF"),
        ] {
            let error = post(body).unwrap_err();
            assert!(error.why.contains(word), "{error:?}");
        }
        assert_eq!(host.client.get("/v1/why/front%231").unwrap_err().code, Code::Unknown);
    }

    #[test]
    fn a_recording_comes_over_the_socket_as_bytes_and_an_error_as_an_error() {
        let host = running("flight");
        let bytes = host.client.bytes("/v1/flight").unwrap();
        assert!(cyte_organism::flight::Recording::from_bytes(&bytes).is_ok());
        assert_eq!(host.client.bytes("/v1/nonsense").unwrap_err().code, Code::Control);
    }

    #[test]
    fn wishes_go_over_the_socket_whole() {
        let host = running("wishes");
        let me = rustix::process::geteuid().as_raw();
        let text = Bytes::from_static(b"[gene.front]");
        let answer = host.client.call(Method::POST, "/v1/wishes?file=a%20b.toml", text).unwrap();
        assert_eq!((&answer["name"], &answer["text"]), (&json!("a b.toml"), &json!("[gene.front]")));
        let plan = host.client.call(Method::POST, "/v1/wishes?plan&file=x", Bytes::from("[gene.x]")).unwrap();
        assert_eq!(plan, json!({"v": 1, "name": "x", "planned": "[gene.x]"}));
        let gone = host.client.call(Method::DELETE, "/v1/wishes/front", Bytes::new()).unwrap();
        assert_eq!((&gone["uid"], &gone["gene"]), (&json!(me), &json!("front")));
        assert_eq!(host.client.get("/v1/wishes").unwrap()["wishes"], json!([]));
        assert_eq!(host.client.get("/v1/wishes/front").unwrap_err().code, Code::Unknown);
        assert_eq!(host.client.get("/v1/wishes?word=nonsense%3d1").unwrap_err().code, Code::Usage);
        assert_eq!(host.client.get("/v1/wishes?history=1").unwrap()["changes"], json!([]));
        assert_eq!(host.client.get("/v1/why/a%2db").unwrap()["gene"], "a-b");
        assert_eq!(host.client.get("/v1/why").unwrap()["gene"], Value::Null);
        let odd = host.client.call(Method::PUT, "/v1/wishes", Bytes::new()).unwrap_err();
        assert_eq!(odd.code, Code::Control);
        let big = Bytes::from(vec![b'#'; cyte_dna::limits::WISH_FILE_BYTES + 2]);
        assert!(host.client.call(Method::POST, "/v1/wishes", big).is_err());
    }

    #[test]
    fn a_page_has_the_newest_and_a_filter() {
        let host = running("page");
        for n in 0..5_u32 {
            let gene = if n % 2 == 0 { "even" } else { "odd" };
            let text = n.to_string();
            let said = Said { gene, cell: 1, request: 0, stream: Stream::Stdout, level: None, text: &text };
            host.view.logs.say(&said);
        }
        let page = host.client.get("/v1/logs?gene=even&tail=2").unwrap();
        let texts: Vec<_> = page["logs"].as_array().unwrap().iter().map(|l| &l["text"]).collect();
        assert_eq!(texts, ["2", "4"]);
        assert_eq!(page["last"], 5);
    }

    #[test]
    fn following_gets_what_was_and_what_comes() {
        let host = running("follow");
        host.view.events.record(Happening::Draining { reason: "before".into() });
        let view = Arc::clone(&host.view);
        let mut seen = Vec::new();
        host.client
            .follow("/v1/events?follow=1", |value| {
                seen.push(value["event"].as_str().unwrap().to_owned());
                view.events.record(Happening::Stopped);
                seen.len() < 3
            })
            .unwrap();
        assert_eq!(seen, ["draining", "stopped", "stopped"]);
    }

    #[test]
    fn one_connection_too_many_waits_until_another_ends() {
        let host = running("crowd");
        let socket = host._folder.join("s");
        let crowd: Vec<_> = (0..cyte_dna::limits::CONTROL_CONNECTIONS)
            .map(|_| std::os::unix::net::UnixStream::connect(&socket).unwrap())
            .collect();
        let (sender, answer) = std::sync::mpsc::channel();
        let asking = std::thread::spawn(move || sender.send(Client::new(&socket).unwrap().get("/v1/status")));
        let early = answer.recv_timeout(std::time::Duration::from_millis(300));
        assert!(early.is_err(), "all places are taken: {early:?}");
        drop(crowd);
        let answer = answer.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        assert_eq!(answer.unwrap()["pid"], 7);
        asking.join().unwrap().unwrap();
    }

    #[test]
    fn nobody_there_is_said_plainly() {
        let error = Client::new(Path::new("/nonexistent/s")).unwrap().get("/v1/ps").unwrap_err();
        assert_eq!(error.code, Code::Control);
    }
}
