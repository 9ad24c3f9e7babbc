//! What the standard neurons share: a rule of `cyte-organism` behind the SDK's trait, and numbers
//! from the configuration.

use std::str::FromStr;

use cyte_organism::neuron as rules;
use cyte_sdk::neuron::{Advice, Host, Look, Order, Sample};
use cyte_sdk::{Error, config};

/// Lets `rule` look; the same numbers go in and come out as natively.
pub fn look(rule: &mut dyn rules::Watch, look: &Look) -> Vec<Order> {
    let shown = rules::Look { host: host(look.host), classes: look.classes.iter().map(class).collect() };
    let orders = rule.watch(&shown).into_iter();
    let said = |order: rules::Order| Order {
        gene: order.gene,
        advice: match order.advice {
            rules::Advice::Bias(permille) => Advice::Bias(permille),
            rules::Advice::Target(cells) => Advice::Target(cells),
        },
    };
    orders.map(said).collect()
}

fn host(host: Host) -> rules::Host {
    let Host { now_us, stems, room, run_delay_us, busy_permille, cores, warm_mib, memory, memory_max } = host;
    rules::Host { now_us, stems, room, run_delay_us, busy_permille, cores, warm_mib, memory, memory_max }
}

fn class(sample: &Sample) -> rules::Sample {
    rules::Sample {
        gene: sample.gene.clone(),
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

/// The number under `key` of the configuration, or `default` where there is none.
///
/// # Errors
/// For what is no number, naming the key.
pub fn number<N: FromStr>(key: &str, default: N) -> Result<N, Error> {
    match config::get(key)? {
        None => Ok(default),
        Some(text) => {
            text.parse().map_err(|_| Error::msg(format!("config `{key}`: `{text}` is no number that fits")))
        }
    }
}
