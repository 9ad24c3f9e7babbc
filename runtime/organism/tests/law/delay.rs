//! I13: what theory says of a loop with delay, checked against a loop made of the same parts.

use proptest::prelude::*;

/// The bare loop: growth and shrinking by `gain` of an error that is `delay` ticks old.
fn settles(gain: f64, delay: usize) -> (bool, f64) {
    let mut seen = vec![1.0; delay + 1];
    let (mut now, mut least) = (1.0f64, 0.0f64);
    for _ in 0..40_000 {
        now -= gain * seen[0];
        seen.remove(0);
        seen.push(now);
        least = least.min(now);
        if now.abs() > 1e6 {
            return (false, least);
        }
    }
    (now.abs() < 1e-3, least)
}

fn stable_below(delay: usize) -> f64 {
    2.0 * libm::sin(std::f64::consts::PI / (2.0 * (2.0 * delay as f64 + 1.0)))
}

fn smooth_below(delay: usize) -> f64 {
    if delay == 0 {
        return 1.0;
    }
    let d = delay as i32;
    f64::from(d).powi(d) / f64::from(d + 1).powi(d + 1)
}

#[test]
fn i13_stability_and_overshoot_follow_the_delay_law() {
    let table = [
        (0, 2.0, 1.0),
        (1, 1.0, 0.25),
        (2, 0.618, 0.148),
        (3, 0.445, 0.105),
        (5, 0.285, 0.067),
        (10, 0.149, 0.035),
    ];
    for (delay, stable, smooth) in table {
        assert!((stable_below(delay) - stable).abs() < 1e-3, "{delay}");
        assert!((smooth_below(delay) - smooth).abs() < 1e-3, "{delay}");
        assert!(settles(stable_below(delay) * 0.99, delay).0, "{delay}");
        assert!(!settles(stable_below(delay) * 1.01, delay).0, "{delay}");
        assert!(settles(smooth_below(delay) * 0.999, delay).1 > -1e-9, "{delay}");
        assert!(settles(smooth_below(delay) * 1.05, delay).1 < -1e-9, "{delay}");
    }
}

proptest! {
    /// Within a host the law senses without delay and counts what is on its way, so that its
    /// whole range of gains (0.25 to 1) stays below the bound of overshoot.
    #[test]
    fn i13_no_gain_that_the_dna_may_state_overshoots_without_delay(gain in 0.25f64..=1.0) {
        let (settled, least) = settles(gain, 0);
        prop_assert!(settled && least >= -1e-12);
        prop_assert!(gain <= smooth_below(0));
    }
}
