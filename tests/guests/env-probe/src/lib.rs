//! Says all that it can find out about where it runs, one fact a line. `/me` uses the runtime's own
//! `identity` as well.

use std::fmt::Write as _;

use cyte_sdk::prelude::*;
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::filesystem::preopens;

struct Probe;

impl Drone for Probe {
    fn handle(request: Request) -> Result<Response, Error> {
        let mut out = String::new();
        if request.path() == "/me" {
            let me = cyte_sdk::identity::me();
            writeln!(out, "me {me} mother {:?} generation {}", me.mother, me.generation)?;
            writeln!(out, "gene {} {} organism {}", me.gene, me.gene_version, me.organism)?;
            return Ok(Response::text(out));
        }
        for (name, value) in std::env::vars() {
            writeln!(out, "env {name}={value}")?;
        }
        for arg in std::env::args() {
            writeln!(out, "arg {arg}")?;
        }
        let mut config = config::all()?;
        config.sort();
        for (name, value) in config {
            writeln!(out, "config {name}={value}")?;
        }
        for (_, name) in preopens::get_directories() {
            writeln!(out, "preopen {name}")?;
        }
        writeln!(out, "cwd {:?}", std::env::current_dir())?;
        writeln!(out, "monotonic resolution {} ns", monotonic_clock::resolution())?;
        writeln!(out, "monotonic step {} ns", step())?;
        writeln!(out, "wall resolution {:?}", wall_clock::resolution())?;
        writeln!(out, "socket {}", socket())?;
        Ok(Response::text(out))
    }
}

/// The smallest step of the clock that can be seen.
fn step() -> u64 {
    let mut smallest = u64::MAX;
    let mut last = monotonic_clock::now();
    for _ in 0..1_000 {
        let now = monotonic_clock::now();
        if now != last {
            smallest = smallest.min(now - last);
            last = now;
        }
    }
    smallest
}

/// Whether a socket can be had and bound.
fn socket() -> &'static str {
    use wasip2::sockets::instance_network::instance_network;
    use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
    use wasip2::sockets::tcp_create_socket::create_tcp_socket;

    let Ok(socket) = create_tcp_socket(IpAddressFamily::Ipv4) else {
        return "refused";
    };
    let address = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });
    match socket.start_bind(&instance_network(), address).and_then(|()| socket.finish_bind()) {
        Ok(()) => "BOUND",
        Err(_) => "refused",
    }
}

cyte_sdk::drone!(Probe);
