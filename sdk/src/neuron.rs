//! Neurons: genes that say how many cells each class of their host should have.

use crate::{Error, sys};

/// Says what each class of its host is to follow.
///
/// The host keeps one cell of it and asks at most every 20 ms; what is in `self` is there at the
/// next look, for as long as the cell lives. Implement it on a type of your own and name that type
/// in [`neuron!`](crate::neuron!). How much its word counts stands in `dna.toml`:
/// `neuron = "advise"` or `"replace"`.
///
/// ```
/// use cyte_sdk::prelude::*;
/// use cyte_sdk::neuron::{Look, Order};
///
/// /// As many cells as there are messages, and one to spare.
/// struct Generous;
///
/// impl Neuron for Generous {
///     fn born() -> Result<Self, Error> {
///         Ok(Generous)
///     }
///
///     fn watch(&mut self, look: &Look) -> Result<Vec<Order>, Error> {
///         let wanted = |class: &cyte_sdk::neuron::Sample| {
///             let messages = class.inflight + u64::from(class.queued);
///             u32::try_from(messages.div_ceil(class.slots.into()) + 1).unwrap_or(class.most)
///         };
///         Ok(look.classes.iter().map(|class| class.target(wanted(class))).collect())
///     }
/// }
///
/// cyte_sdk::neuron!(Generous);
/// ```
pub trait Neuron: Sized {
    /// Makes what the cell remembers, at its first look; a good place to read the configuration.
    ///
    /// # Errors
    ///
    /// An error is logged, nothing is ordered, and the next look tries again.
    fn born() -> Result<Self, Error>;

    /// Looks and orders, at most one order a class. A class without one is left to the host's law.
    ///
    /// It must be quick: a cell that takes longer than `limits.wall` (5 ms unless `dna.toml` says
    /// otherwise) ends, with all that it remembers.
    ///
    /// # Errors
    ///
    /// An error is logged, and nothing is ordered.
    fn watch(&mut self, look: &Look) -> Result<Vec<Order>, Error>;
}

/// All that a neuron is shown at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// The host.
    pub host: Host,
    /// Its classes, each once.
    pub classes: Vec<Sample>,
}

/// The host as it counted itself just now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Host {
    /// Microseconds since the host started; never goes back.
    pub now_us: u64,
    /// Stems that wait: places from which a cell of any class is made at once.
    pub stems: u32,
    /// Places for cells that the bounds of the machine still leave, beside cells and stems.
    pub room: u32,
    /// Mean delay from woken to polled since the last look, in microseconds. Above 2,000 the cores
    /// are full, and more cells would serve nobody sooner.
    pub run_delay_us: u64,
    /// Share of the cores' time since the last look that cells used, in thousandths; 0 where the
    /// host does not know.
    pub busy_permille: u32,
    /// Cores that cells may use; 0 where the host does not know.
    pub cores: u32,
    /// Memory that cells may hold at rest and do no harm, in MiB; 0 = any.
    pub warm_mib: u32,
    /// Memory of all cells, in bytes; 0 where the host does not know.
    pub memory: u64,
    /// What of it they may use, in bytes; 0 where the host does not know.
    pub memory_max: u64,
}

/// One class: all cells of one gene on this host. A message is *inside* from the moment a cell took
/// it until it ended, and *waiting* before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// The gene's name.
    pub gene: String,
    /// Cells that serve.
    pub ready: u32,
    /// Cells that are being made and do not serve yet.
    pub pending: u32,
    /// Cells that finish what they have and take nothing new.
    pub draining: u32,
    /// Messages that wait.
    pub queued: u32,
    /// For how long the first of them has waited, in microseconds; 0 where none waits.
    pub head_wait_us: u64,
    /// Messages inside ready cells.
    pub inflight: u64,
    /// Messages that arrived since the host started.
    pub arrived: u64,
    /// Cells that retired by use, age or memory since the host started, and have no successor.
    pub retired: u64,
    /// Mean time of a message inside, on free cores, in microseconds; 0 before the first ended.
    pub service_us: u64,
    /// The part of it that is CPU time, in microseconds; 0 where nothing was measured yet.
    pub computing_us: u64,
    /// From the order for a cell until it serves, in microseconds.
    pub activation_us: u64,
    /// Messages that one cell takes at once, at least 1.
    pub slots: u32,
    /// The least cells that the class may have. The host sees to it, whatever is ordered.
    pub least: u32,
    /// The most cells that the class may have. The host sees to it, whatever is ordered.
    pub most: u32,
    /// How long a message should wait at most, in milliseconds.
    pub wait_target_ms: u32,
    /// The strength of the class against the others where not all can grow.
    pub weight: u32,
    /// Whether it is served before all others.
    pub core: bool,
    /// The most messages inside and waiting at once since the last look.
    pub peak: u32,
    /// Message-microseconds inside and waiting since the host started: the difference between two
    /// looks, divided by the time between them, is the mean concurrency.
    pub concurrency_us: u64,
    /// Cells whose guest computes and waits for a core right now.
    pub stalled: u32,
    /// What the gene's own signal says, in thousandths of one cell's load; 0 where it has none.
    pub signal: u64,
    /// Memory of its cells, in bytes; 0 where the host does not know.
    pub memory: u64,
    /// The part of it whose cells hold no message, in whole MiB.
    pub resting_mib: u32,
    /// Cells that died since the host started: by a trap, a breach or a message that was given up.
    pub died: u64,
}

impl Sample {
    /// Orders so many cells for this class. Only where `dna.toml` says `neuron = "replace"`.
    #[must_use]
    pub fn target(&self, cells: u32) -> Order {
        Order { gene: self.gene.clone(), advice: Advice::Target(cells) }
    }

    /// Orders that the law takes the demand of this class for so many thousandths more or less,
    /// -250 to 250.
    #[must_use]
    pub fn bias(&self, permille: i32) -> Order {
        Order { gene: self.gene.clone(), advice: Advice::Bias(permille) }
    }
}

/// What a class is to follow, for ten ticks of the host or until the next order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// So much more or less demand than there is, in thousandths.
    Bias(i32),
    /// So many cells.
    Target(u32),
}

/// An order for one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The class, by its gene's name.
    pub gene: String,
    /// What it is to follow.
    pub advice: Advice,
}

/// One look, as the host has it: `kept` is what the cell remembers. Errors are logged and order
/// nothing.
pub(crate) fn look<N: Neuron>(kept: &mut Option<N>, look: &Look) -> Vec<Order> {
    let mind = match kept.take() {
        Some(mind) => Ok(mind),
        None => N::born(),
    };
    let orders = mind.and_then(|mind| kept.insert(mind).watch(look));
    orders.unwrap_or_else(|error| {
        sys::error_line(&error.to_string());
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;
    use crate::testing;

    /// Orders one cell more at each look, from the number in its configuration.
    struct Counter(u32);

    impl Neuron for Counter {
        fn born() -> Result<Self, Error> {
            Ok(Counter(config::get_or("start", "0")?.parse()?))
        }

        fn watch(&mut self, look: &Look) -> Result<Vec<Order>, Error> {
            self.0 += 1;
            Ok(look.classes.iter().map(|class| class.target(self.0)).collect())
        }
    }

    crate::neuron!(Counter);

    #[test]
    fn what_a_neuron_remembers_is_there_at_the_next_look() {
        let class = Sample { gene: "web".into(), ..Sample::default() };
        let look = Look { classes: vec![class.clone()], ..Look::default() };
        testing::set_config("start", "x");
        let mut cell = testing::Watched::<Counter>::default();
        assert!(cell.watch(&look).is_empty());
        assert_eq!(testing::take_errors(), ["invalid digit found in string"]);
        testing::set_config("start", "4");
        assert_eq!(cell.watch(&look), [class.target(5)]);
        assert_eq!(cell.watch(&look), [class.target(6)]);
        assert_eq!(testing::Watched::<Counter>::default().watch(&look), [class.target(5)], "a fresh cell");
        assert_eq!(class.bias(-100).advice, Advice::Bias(-100));
    }
}
