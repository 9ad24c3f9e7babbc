//! The macros that make a component of a gene.

/// Makes the crate a drone on WASI 0.2: exports `wasi:http/incoming-handler`.
///
/// It also asks the host to keep a cell for 128 requests (custom section `cyte:reuse`); another
/// number can be given, `drone!(Front, reuse = 1)`, and `reuse` in `dna.toml` overrides both.
/// On any other target than Wasm it only checks the types.
#[macro_export]
macro_rules! drone {
    ($drone:ty) => {
        $crate::drone!($drone, reuse = 128);
    };
    ($drone:ty, reuse = $reuse:literal) => {
        $crate::__reuse!($reuse);
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;

            impl $crate::sys::DroneGuest for Export {
                fn handle(request: $crate::sys::DroneRequest, out: $crate::sys::DroneOut) {
                    $crate::sys::serve::<$drone>(request, out);
                }
            }

    $crate::bindings::drone::__export_drone!(Export with_types_in $crate::bindings::drone);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn($crate::Request) -> ::core::result::Result<$crate::Response, $crate::Error> =
            <$drone as $crate::Drone>::handle;
    };
}

/// Makes the crate a task: exports `wasi:cli/run`.
///
/// On any other target than Wasm it only checks the types.
#[macro_export]
macro_rules! task {
    ($task:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;

            impl $crate::sys::TaskGuest for Export {
                fn run() -> ::core::result::Result<(), ()> {
                    $crate::sys::run_task::<$task>()
                }
            }

    $crate::bindings::task::__export_task!(Export with_types_in $crate::bindings::task);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn(&[::std::string::String]) -> ::core::result::Result<(), $crate::Error> =
            <$task as $crate::Task>::run;
    };
}

/// Makes the crate a neuron: exports `cyte:cell/homeostasis`.
///
/// What the type holds stays in the cell from one look to the next. On any other target than Wasm
/// it only checks the types.
#[macro_export]
macro_rules! neuron {
    ($neuron:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;

            ::std::thread_local! {
                static KEPT: ::core::cell::RefCell<::core::option::Option<$neuron>> =
                    const { ::core::cell::RefCell::new(::core::option::Option::None) };
            }

            impl $crate::sys::NeuronGuest for Export {
                fn watch(
                    host: $crate::sys::NeuronHost,
                    classes: ::std::vec::Vec<$crate::sys::NeuronSample>,
                ) -> ::std::vec::Vec<$crate::sys::NeuronOrder> {
                    KEPT.with_borrow_mut(|kept| $crate::sys::watch::<$neuron>(kept, host, classes))
                }
            }

    $crate::bindings::neuron::__export_neuron!(Export with_types_in $crate::bindings::neuron);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> ::core::result::Result<$neuron, $crate::Error> = <$neuron as $crate::Neuron>::born;
    };
}

/// Lets the cells of a drone feel how their class stands: exports `cyte:cell/receptor`.
///
/// Beside [`drone!`](crate::drone!) or `drone_p3!`, in the same crate. On any other target than Wasm
/// it only checks the types.
#[macro_export]
macro_rules! receptor {
    ($receptor:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;

            impl $crate::sys::ReceptorGuest for Export {
                fn feel(levels: $crate::sys::ReceptorLevels) {
                    $crate::sys::feel::<$receptor>(levels);
                }
            }

    $crate::bindings::receptor::__export_receptor!(Export with_types_in $crate::bindings::receptor);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn($crate::hormone::Levels) = <$receptor as $crate::Receptor>::feel;
    };
}

/// Lets the cells of a drone hear of the turns of their lives: exports `cyte:cell/lifecycle`.
///
/// Beside [`drone!`](crate::drone!) or `drone_p3!`, in the same crate. On any other target than Wasm
/// it only checks the types.
#[macro_export]
macro_rules! lifecycle {
    ($lifecycle:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;

            impl $crate::sys::LifecycleGuest for Export {
                fn differentiated() {
                    <$lifecycle as $crate::Lifecycle>::differentiated();
                }

                fn dividing(daughters: u32) {
                    <$lifecycle as $crate::Lifecycle>::dividing(daughters);
                }

                fn dying(cause: $crate::sys::LifecycleCause) {
                    $crate::sys::dying::<$lifecycle>(cause);
                }
            }

    $crate::bindings::lifecycle::__export_lifecycle!(Export with_types_in $crate::bindings::lifecycle);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn($crate::lifecycle::Cause) = <$lifecycle as $crate::Lifecycle>::dying;
    };
}

/// Makes the crate a policy that judges cells that are stuck: exports `cyte:cell/zombies`.
///
/// On any other target than Wasm it only checks the types.
#[macro_export]
macro_rules! zombies {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;

            impl $crate::sys::ZombiesGuest for Export {
                fn judge(found: $crate::sys::ZombiesZombie) -> $crate::sys::ZombiesVerdict {
                    $crate::sys::judge::<$policy>(found)
                }
            }

    $crate::bindings::zombies::__export_zombies!(Export with_types_in $crate::bindings::zombies);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn(&$crate::policy::Zombie) -> $crate::policy::Verdict =
            <$policy as $crate::policy::Zombies>::judge;
    };
}

/// Makes the crate a policy that takes the lines of genes: exports `cyte:cell/log-sink`.
///
/// On any other target than Wasm it only checks the types.
#[macro_export]
macro_rules! log_sink {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;

            impl $crate::sys::LogSinkGuest for Export {
                fn take(lines: ::std::vec::Vec<$crate::sys::LogSinkLine>, dropped: u64) {
                    $crate::sys::take_lines::<$policy>(lines, dropped);
                }
            }

    $crate::bindings::log_sink::__export_log_sink!(Export with_types_in $crate::bindings::log_sink);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn(&[$crate::policy::Line], u64) = <$policy as $crate::policy::LogSink>::take;
    };
}

/// Makes the crate a policy that takes what is counted of genes: exports `cyte:cell/metrics`.
///
/// On any other target than Wasm it only checks the types.
#[macro_export]
macro_rules! metrics {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Export;

            impl $crate::sys::MetricsGuest for Export {
                fn take(at_ms: u64, genes: ::std::vec::Vec<$crate::sys::MetricsCounts>) {
                    $crate::sys::take_counts::<$policy>(at_ms, genes);
                }
            }

    $crate::bindings::metrics::__export_metrics!(Export with_types_in $crate::bindings::metrics);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn(u64, &[$crate::policy::Counts]) = <$policy as $crate::policy::Metrics>::take;
    };
}

/// Writes the number of uses into the custom section that the host looks for.
#[macro_export]
#[doc(hidden)]
macro_rules! __reuse {
    ($reuse:literal) => {
        const _: () = $crate::sys::check_reuse($reuse, ::core::stringify!($reuse));
        #[cfg(target_family = "wasm")]
        const _: () = {
            #[used]
            #[unsafe(link_section = "cyte:reuse")]
            static REUSE: [u8; ::core::stringify!($reuse).len()] =
                $crate::sys::digits(::core::stringify!($reuse));
        };
    };
}
