//! The same engine, the same pool, the same path from hyper into a 0.2 component, and nothing that
//! protects the host: no epochs, no limiter, no deadlines, no caps, no queue, no routes, no
//! counters, no log. What cyte costs above this is what all its guards together cost, and all
//! else it does for a request.
//!
//! `cyte-unguarded kept|fresh COMPONENT.wasm` listens on a free loopback port and prints
//! `listening http://127.0.0.1:PORT` once it would answer. For figures only: never serve with it.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use wasmtime::Result;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::{
    Error as WasiError, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

/// What a store holds: only what the bindings need.
struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    hooks: Outside,
}

/// Where requests of the guest would go; here nowhere, as nothing that is measured sends any.
struct Outside;

type Io = Box<dyn Future<Output = std::result::Result<(), WasiError>> + Send>;
type Sent = std::result::Result<(Response<WasiBody>, Io), WasiError>;

impl WasiHttpHooks for Outside {
    fn send_request(
        &mut self,
        _request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _io: Io,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(std::future::ready(Err(WasiError::HttpRequestDenied)))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

/// A live instance.
struct Instance {
    store: Store<State>,
    proxy: Proxy,
}

/// The component, linked, and its idle instances where they are kept.
struct Server {
    engine: Engine,
    pre: ProxyPre<State>,
    kept: Option<Mutex<Vec<Instance>>>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, component] = arguments.as_slice() else {
        wasmtime::bail!("usage: cyte-unguarded kept|fresh COMPONENT.wasm");
    };
    let server = Arc::new(server(mode == "kept", component)?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut out = std::io::stdout();
    writeln!(out, "listening http://{}", listener.local_addr()?)?;
    out.flush()?;
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                tokio::spawn(connection(stream, server.clone()));
            }
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

/// The engine as the product's plain one, without epochs.
fn server(is_kept: bool, component: &str) -> Result<Server> {
    let mut config = Config::new();
    config.wasm_component_model_async(false);
    config.concurrency_support(false);
    config.max_wasm_stack(512 << 10);
    config.async_stack_size(1 << 20);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(1_024)
        .total_core_instances(16_384)
        .max_core_instances_per_component(16)
        .total_memories(1_024)
        .total_tables(4_096)
        .table_elements(32_768)
        .total_stacks(1_024)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .max_unused_warm_slots(25)
        .linear_memory_keep_resident(1_280 << 10)
        .table_keep_resident(32 << 10)
        .pagemap_scan(Enabled::Auto);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    // Under valgrind there is no room for a pool; the product does the same then.
    let engine = Engine::new(&config).or_else(|_| {
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        Engine::new(&config)
    })?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    let component = Component::from_file(&engine, component)?;
    let pre = ProxyPre::new(linker.instantiate_pre(&component)?)?;
    Ok(Server { engine, pre, kept: is_kept.then(Mutex::default) })
}

async fn connection(stream: TcpStream, server: Arc<Server>) {
    let _ = stream.set_nodelay(true);
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), service_fn(|request| server.answer(request)))
        .await;
}

impl Server {
    /// Polls the guest in the connection's own task, as the product does. The answer leaves once the
    /// guest ended, so a body that is longer than a pipe holds is not for this server.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<WasiBody>> {
        let (head, mut arriving) = oneshot::channel();
        let call = Box::pin(async move {
            let mut instance = self.instance().await?;
            let mut http = instance.store.data_mut().http();
            let request = http.new_incoming_request(Scheme::Http, request.map(body))?;
            let out = http.new_response_outparam_from_callback(move |answer| {
                let _ = head.send(answer);
            })?;
            instance
                .proxy
                .wasi_http_incoming_handler()
                .call_handle(&mut instance.store, request, out)
                .await?;
            self.give_back(instance);
            Result::<()>::Ok(())
        });
        call.await?;
        match arriving.try_recv() {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(code)) => wasmtime::bail!("the guest failed: {code}"),
            Err(_) => wasmtime::bail!("the guest gave no answer"),
        }
    }

    async fn instance(&self) -> Result<Instance> {
        let kept =
            self.kept.as_ref().and_then(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).pop());
        if let Some(instance) = kept {
            return Ok(instance);
        }
        let state = State {
            wasi: WasiCtx::builder().build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            hooks: Outside,
        };
        let mut store = Store::new(&self.engine, state);
        let proxy = self.pre.instantiate_async(&mut store).await?;
        Ok(Instance { store, proxy })
    }

    fn give_back(&self, instance: Instance) {
        if let Some(kept) = &self.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
        }
    }
}

fn body(incoming: Incoming) -> http_body_util::combinators::MapErr<Incoming, fn(hyper::Error) -> WasiError> {
    incoming.map_err(|_| WasiError::HttpProtocolError)
}
