//! The access log's hook. Off by default; then it costs one branch a request.

use std::net::SocketAddr;
use std::time::Duration;

use cyte_engine::RequestId;

/// One request, told when its response has ended or was cut off.
#[derive(Debug)]
pub struct AccessLine<'a> {
    /// The id that is also in a refusal and in the gene's log lines.
    pub id: RequestId,
    /// Who asked. Never given to a gene.
    pub peer: SocketAddr,
    /// The method, as sent.
    pub method: &'a str,
    /// The path without the query (queries hold secrets too often). Raw bytes of a client:
    /// escape before printing.
    pub path: &'a str,
    /// The status sent; `None` when the client went away before there was one.
    pub status: Option<u16>,
    /// The code of the refusal, if it was one.
    pub refusal: Option<&'static str>,
    /// Bytes of the response body that were handed to the connection.
    pub bytes_out: u64,
    /// From the end of the request head to the end of the response.
    pub elapsed: Duration,
    /// Whether the response was sent to its end.
    pub complete: bool,
}

/// Gets a line for every request. Called inside the request's task: must not block.
pub trait AccessLog: Send + Sync {
    /// Takes one line.
    fn record(&self, line: &AccessLine<'_>);
}
