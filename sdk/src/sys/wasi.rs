//! On WASI 0.2: serving a request, sending one, and the small abilities.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::bridge;
use super::fields::{announce, headers_from, headers_to};
use super::streams::{Incoming, Outgoing};
use crate::bindings::abilities::cyte::cell::{
    division as cell_division, endocrine, identity, load as cell_load,
};
use crate::bindings::abilities::wasi::config::store;
use crate::bindings::abilities::wasi::logging::logging;
use crate::bindings::drone::wasi::http0_2_12::outgoing_handler;
pub(crate) use crate::bindings::drone::wasi::http0_2_12::types;
pub(crate) use crate::bindings::drone::wasi::io::streams;
use crate::bindings::task::wasi::cli0_2_12::exit as cli_exit;
use types::{OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam};

pub use crate::bindings::drone::exports::wasi::http0_2_12::incoming_handler::{
    Guest as DroneGuest, IncomingRequest as DroneRequest, ResponseOutparam as DroneOut,
};
pub use crate::bindings::neuron::exports::cyte::cell::homeostasis::{
    Advice as NeuronAdvice, Guest as NeuronGuest, Host as NeuronHost, Order as NeuronOrder,
    Sample as NeuronSample,
};
pub use crate::bindings::receptor::exports::cyte::cell::receptor::{
    Guest as ReceptorGuest, Levels as ReceptorLevels,
};
pub use crate::bindings::task::exports::wasi::cli0_2_12::run::Guest as TaskGuest;

use crate::body::Inner;
use crate::division;
use crate::head::Head;
use crate::hormone::{self, Hormone, Levels, Receptor};
use crate::identity::Identity;
use crate::load;
use crate::log::Level;
use crate::neuron::{self, Neuron};
use crate::{Body, BodyWriter, Drone, Error, FetchError, FetchOptions, Request, Response, Task};

/// Serves one request; called by what `drone!` makes.
pub fn serve<D: Drone>(request: DroneRequest, out: DroneOut) {
    let request = Request::arriving(Head::arriving(request));
    let response = D::handle(request).unwrap_or_else(Error::into_response);
    match respond(out, response) {
        Ok(()) => {}
        // What failed before it began still gets a clean answer, which is tried once.
        Err(Unsent { error, out: Some(out) }) => drop(respond(out, error.into_response())),
        Err(Unsent { error, out: None }) => error_line(&error.to_string()),
    }
}

/// Runs a task; called by what `task!` makes.
///
/// # Errors
///
/// When the task failed; why is on stderr.
#[allow(clippy::result_unit_err, reason = "the type of wasi:cli/run")]
pub fn run_task<T: Task>() -> Result<(), ()> {
    crate::task::run::<T>()
}

/// Lets a neuron look; called by what `neuron!` makes.
pub fn watch<N: Neuron>(
    kept: &mut Option<N>,
    host: NeuronHost,
    classes: Vec<NeuronSample>,
) -> Vec<NeuronOrder> {
    let look = neuron::Look { host: seen(host), classes: classes.into_iter().map(class).collect() };
    let orders = neuron::look(kept, &look).into_iter();
    let said = |order: neuron::Order| NeuronOrder {
        gene: order.gene,
        advice: match order.advice {
            neuron::Advice::Bias(permille) => NeuronAdvice::Bias(permille),
            neuron::Advice::Target(cells) => NeuronAdvice::Target(cells),
        },
    };
    orders.map(said).collect()
}

/// Lets a cell feel; called by what `receptor!` makes.
pub fn feel<R: Receptor>(levels: ReceptorLevels) {
    let ReceptorLevels { felt_fast, felt_slow, growth, anti_growth, cores_full } = levels;
    R::feel(Levels { felt_fast, felt_slow, growth, anti_growth, cores_full });
}

fn seen(host: NeuronHost) -> neuron::Host {
    let NeuronHost { now_us, stems, room, run_delay_us, busy_permille, cores, warm_mib, memory, memory_max } =
        host;
    neuron::Host { now_us, stems, room, run_delay_us, busy_permille, cores, warm_mib, memory, memory_max }
}

fn class(sample: NeuronSample) -> neuron::Sample {
    neuron::Sample {
        gene: sample.gene,
        ready: sample.ready,
        pending: sample.pending,
        draining: sample.draining,
        queued: sample.queued,
        head_wait_us: sample.head_wait_us,
        inflight: sample.inflight,
        arrived: sample.arrived,
        retired: sample.retired,
        service_us: sample.service_us,
        computing_us: sample.computing_us,
        activation_us: sample.activation_us,
        slots: sample.slots,
        least: sample.least,
        most: sample.most,
        wait_target_ms: sample.wait_target_ms,
        weight: sample.weight,
        core: sample.core,
        peak: sample.peak,
        concurrency_us: sample.concurrency_us,
        stalled: sample.stalled,
        signal: sample.signal,
        memory: sample.memory,
        resting_mib: sample.resting_mib,
        died: sample.died,
    }
}

/// A response that did not go out as it should.
struct Unsent {
    error: Error,
    /// None once the head was sent.
    out: Option<ResponseOutparam>,
}

/// Sends a response.
#[inline(never)]
fn respond(out: ResponseOutparam, response: Response) -> Result<(), Unsent> {
    let (status, mut headers, body) = response.into_parts();
    let length = length_of(&mut headers, &body);
    let message = match message(status, &headers, length) {
        Ok(message) => message,
        Err(error) => return Err(Unsent { error, out: Some(out) }),
    };
    if matches!(body.inner, Inner::Empty) && body.trailers.is_none() {
        ResponseOutparam::set(out, Ok(message));
        return Ok(());
    }
    let open = message.body();
    let mut out = Some(out);
    let start = || {
        if let Some(out) = out.take() {
            ResponseOutparam::set(out, Ok(message));
        }
    };
    deliver(open, body, start).map_err(|error| Unsent { error, out })
}

/// The length that the head is to name; none for no bytes, which need no mention.
fn length_of(headers: &mut HeaderMap, body: &Body) -> Option<u64> {
    let fits = announce(headers, body.trailers.as_ref());
    body.len().filter(|length| fits && *length > 0)
}

/// A response without its body.
fn message(status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> Result<OutgoingResponse, Error> {
    let fields = headers_to(headers, length, types::Fields::from_list)
        .map_err(|error| Error::msg(format!("headers of the response: {error:?}")))?;
    let message = OutgoingResponse::new(fields);
    if status != StatusCode::OK && message.set_status_code(status.as_u16()).is_err() {
        return Err(Error::msg(format!("the host refuses status {status}")));
    }
    Ok(message)
}

/// Sends a body; `start` sends the head.
///
/// A short body that is all here is written and finished first, so that the host gets the whole
/// message at once and can send it so.
fn deliver(open: Result<OutgoingBody, ()>, body: Body, start: impl FnOnce()) -> Result<(), Error> {
    let Some(mut open) = open.ok().and_then(Outgoing::new) else {
        start();
        return Err(Error::msg("the host gives no body to write to"));
    };
    let Body { inner, trailers } = body;
    match inner {
        Inner::Empty => {
            start();
            open.finish(trailers.as_ref())
        }
        Inner::Full(bytes) => deliver_full(open, &bytes, trailers.as_ref(), start),
        Inner::Incoming(mut incoming) | Inner::Ended(mut incoming) => {
            start();
            let passed = incoming.pass_on(&mut open)?;
            open.finish(trailers.or(passed).as_ref())
        }
        Inner::Producer(write) => {
            start();
            let (open, written) = BodyWriter::run(open, write)?;
            open.finish(written.or(trailers).as_ref())
        }
    }
}

fn deliver_full(
    mut open: Outgoing,
    bytes: &Bytes,
    trailers: Option<&HeaderMap>,
    start: impl FnOnce(),
) -> Result<(), Error> {
    if open.write_at_once(bytes)? {
        // Where its length is not what the head says, nothing was sent yet.
        open.finish(trailers)?;
        start();
        Ok(())
    } else {
        start();
        open.write_all(bytes)?;
        open.finish(trailers)
    }
}

/// Sends a request and waits for the head of its response.
pub(crate) fn fetch(request: Request, options: &FetchOptions) -> Result<Response, FetchError> {
    let request = request.into_http();
    let (mut parts, body) = request.into_parts();
    // Where it goes is in the target; hosts refuse the header.
    parts.headers.remove(http::header::HOST);
    let length = length_of(&mut parts.headers, &body);
    let message = outgoing(&parts, length)?;
    let options = bridge::options_to(options);
    let has_body = !matches!(body.inner, Inner::Empty) || body.trailers.is_some();
    let open = has_body.then(|| message.body());
    let mut coming = None;
    let start = || coming = Some(outgoing_handler::handle(message, options));
    let sent = match open {
        Some(open) => deliver(open, body, start),
        None => {
            start();
            Ok(())
        }
    };
    let coming = match coming {
        Some(Ok(coming)) => coming,
        Some(Err(code)) => return Err(bridge::fetch_error(code)),
        None => return Err(FetchError::Invalid(sent.err().map_or_else(String::new, |e| e.to_string()))),
    };
    // Where sending broke, the other side may have answered early; its answer says more.
    match (wait(&coming), sent) {
        (Ok(response), _) => Ok(arrived(&response)),
        (Err(FetchError::Broken(_)), Err(error)) => Err(FetchError::Broken(error.to_string())),
        (Err(error), _) => Err(error),
    }
}

/// A request without its body.
fn outgoing(parts: &http::request::Parts, length: Option<u64>) -> Result<OutgoingRequest, FetchError> {
    let invalid = |what: &str| FetchError::Invalid(format!("the host refuses its {what}"));
    let fields =
        headers_to(&parts.headers, length, types::Fields::from_list).map_err(|_| invalid("headers"))?;
    let message = OutgoingRequest::new(fields);
    let scheme = bridge::scheme_to(&parts.uri)?;
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let target = parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str);
    message.set_method(&bridge::method_to(&parts.method)).map_err(|()| invalid("method"))?;
    message.set_scheme(Some(&scheme)).map_err(|()| invalid("scheme"))?;
    message.set_authority(authority).map_err(|()| invalid("authority"))?;
    message.set_path_with_query(target).map_err(|()| invalid("path"))?;
    Ok(message)
}

/// Waits for the head of a response.
fn wait(coming: &types::FutureIncomingResponse) -> Result<types::IncomingResponse, FetchError> {
    loop {
        match coming.get() {
            None => coming.subscribe().block(),
            Some(Ok(Ok(response))) => return Ok(response),
            Some(Ok(Err(code))) => return Err(bridge::fetch_error(code)),
            Some(Err(())) => return Err(FetchError::Broken("the response was taken before".to_owned())),
        }
    }
}

fn arrived(response: &types::IncomingResponse) -> Response {
    let status = StatusCode::from_u16(response.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = headers_from(response.headers().entries());
    let body = response.consume().map(Incoming::open).unwrap_or_default();
    Response::from_parts(status, headers, body)
}

pub(crate) fn config_get(key: &str) -> Result<Option<String>, String> {
    store::get(key).map_err(config_error)
}

pub(crate) fn config_all() -> Result<Vec<(String, String)>, String> {
    store::get_all().map_err(config_error)
}

fn config_error(error: store::Error) -> String {
    match error {
        store::Error::Upstream(why) | store::Error::Io(why) => why,
    }
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
    };
    logging::log(level, "", message);
}

/// Through stderr and not `wasi:logging`: every gene can fail, and a gene that does not log shall
/// not import it.
pub(crate) fn error_line(line: &str) {
    eprintln!("error: {line}");
}

pub(crate) fn release(kind: Hormone, strength: f64) -> Result<(), hormone::Refusal> {
    let kind = match kind {
        Hormone::Growth => endocrine::Hormone::Growth,
        Hormone::AntiGrowth => endocrine::Hormone::AntiGrowth,
    };
    endocrine::release(kind, strength).map_err(|refusal| match refusal {
        endocrine::Refusal::Strength => hormone::Refusal::Strength,
        endocrine::Refusal::TooOften => hormone::Refusal::TooOften,
    })
}

pub(crate) fn report(amount: f64) -> Result<(), load::Refusal> {
    cell_load::report(amount).map_err(|refusal| match refusal {
        cell_load::Refusal::Value => load::Refusal::Value,
    })
}

pub(crate) fn divide() -> Result<u64, division::Refusal> {
    cell_division::divide().map_err(refused)
}

pub(crate) fn retire(cell: u64) -> Result<(), division::Refusal> {
    cell_division::retire(cell).map_err(refused)
}

fn refused(refusal: cell_division::Refusal) -> division::Refusal {
    use cell_division::Refusal as Said;
    match refusal {
        Said::NotGranted => division::Refusal::NotGranted,
        Said::Most => division::Refusal::Most,
        Said::Least => division::Refusal::Least,
        Said::NoRoom => division::Refusal::NoRoom,
        Said::CoresFull => division::Refusal::CoresFull,
        Said::TooSoon => division::Refusal::TooSoon,
        Said::NoCell => division::Refusal::NoCell,
        Said::Busy => division::Refusal::Busy,
    }
}

pub(crate) fn me() -> Identity {
    let me = identity::me();
    Identity::new((me.id, me.mother, me.generation), (me.gene, me.gene_version, me.organism))
}

#[allow(clippy::exit, reason = "for hosts that come back from the call")]
pub(crate) fn exit(status: u8) -> ! {
    cli_exit::exit_with_code(status);
    std::process::exit(status.into())
}
