//! Weights: whose cells there are where not all can have what they want.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Host, project, until};

/// Requests that are under way at once for each gene: many more than the host has cells.
const CLIENTS: usize = 16;

/// Two genes under the same load share the places of their host as their weights say, whether a cell serves
/// once or for long.
#[test]
fn two_genes_under_the_same_load_share_a_host_by_their_weights() {
    for reuse in [1, 1_000_000] {
        let gene = |name: &str, weight: u32| {
            format!(
                "[gene.{name}]\nsource = \"{{say}}\"\nroute = \"/{name}\"\nreuse = {reuse}\nweight = {weight}\nlimits = {{ wait = \"60s\", wall = \"60s\" }}\n"
            )
        };
        let toml = format!("[organism]\nname = \"o\"\n{}{}", gene("much", 3), gene("less", 1));
        let folder = project(&toml);
        let host = Host::of(folder.path()).arg("--cells").arg("16").start();
        assert_eq!(host.json(["inspect", "much"])["weight"], 3);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for path in ["/much?ms=50", "/less?ms=50"] {
                for _ in 0..CLIENTS * 2 {
                    scope.spawn(|| {
                        while !is_over.load(Ordering::Relaxed) {
                            assert_eq!(host.get(path).status, 200);
                        }
                    });
                }
            }
            let share = || {
                let ps = host.json(["ps"]);
                let cells = ps["cells"].as_array().cloned().unwrap_or_default();
                let of = |name: &str| cells.iter().filter(|cell| cell["gene"] == name).count();
                (of("much"), of("less"))
            };
            // Twelve and four; the sums of ten looks, as cells come and go.
            let settled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                until("three to one", || {
                    let looks: Vec<_> = (0..10)
                        .map(|_| {
                            std::thread::sleep(Duration::from_millis(50));
                            share()
                        })
                        .collect();
                    let much: usize = looks.iter().map(|look| look.0).sum();
                    let less: usize = looks.iter().map(|look| look.1).sum();
                    (less > 0 && much >= 2 * less && much <= 4 * less).then_some(())
                });
            }));
            is_over.store(true, Ordering::Relaxed);
            if let Err(panic) = settled {
                std::panic::resume_unwind(panic);
            }
        });
    }
}
