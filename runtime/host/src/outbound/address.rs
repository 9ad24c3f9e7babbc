//! Which addresses a gene may reach by a name.
//!
//! An allow-list, so that a range that somebody forgot is refused and not reached: a public
//! address is one that the registries of IANA call globally reachable. Addresses that hold an
//! IPv4 address inside (mapped, NAT64) are what that address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere on the internet: open to every gene whose grant names the host.
    Public,
    /// This machine, its network or a range with a special meaning: only for a gene whose grant
    /// names that very address (or `localhost`).
    Private,
    /// No single host: never.
    Never,
}

/// A network as its first address and the number of leading bits that count.
type Net<const N: usize> = ([u8; N], u32);

/// IPv4 ranges that lead to no single host.
const NEVER_4: [Net<4>; 3] = [
    ([0, 0, 0, 0], 8),   // this network; Linux connects 0.0.0.0 to loopback
    ([224, 0, 0, 0], 4), // multicast
    ([240, 0, 0, 0], 4), // reserved, and broadcast
];

/// IPv4 ranges that are not the internet.
const PRIVATE_4: [Net<4>; 13] = [
    ([10, 0, 0, 0], 8),       // private
    ([100, 64, 0, 0], 10),    // shared by carriers (CGNAT)
    ([127, 0, 0, 0], 8),      // loopback
    ([169, 254, 0, 0], 16),   // link-local, with the metadata services of clouds
    ([172, 16, 0, 0], 12),    // private
    ([192, 0, 0, 0], 24),     // protocol assignments
    ([192, 0, 2, 0], 24),     // documentation
    ([192, 88, 99, 0], 24),   // 6to4 relays, withdrawn
    ([192, 168, 0, 0], 16),   // private
    ([198, 18, 0, 0], 15),    // benchmarking
    ([198, 51, 100, 0], 24),  // documentation
    ([203, 0, 113, 0], 24),   // documentation
    ([168, 63, 129, 16], 32), // a public address that one cloud uses for its metadata service
];

/// IPv6 ranges that lead to no single host.
const NEVER_6: [Net<16>; 1] = [(words([0xff00, 0, 0, 0, 0, 0, 0, 0]), 8)]; // multicast

/// The only IPv6 range that is handed out as global unicast.
const GLOBAL_6: Net<16> = (words([0x2000, 0, 0, 0, 0, 0, 0, 0]), 3);

/// Parts of [`GLOBAL_6`] that are not the internet.
const PRIVATE_6: [Net<16>; 4] = [
    (words([0x2001, 0, 0, 0, 0, 0, 0, 0]), 23), // protocol assignments, with Teredo
    (words([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]), 32), // documentation
    (words([0x2002, 0, 0, 0, 0, 0, 0, 0]), 16), // 6to4
    (words([0x3fff, 0, 0, 0, 0, 0, 0, 0]), 20), // documentation
];

/// IPv6 ranges whose last four bytes are an IPv4 address that is meant.
const HOLDS_4: [Net<16>; 2] = [
    (words([0, 0, 0, 0, 0, 0xffff, 0, 0]), 96),    // IPv4-mapped
    (words([0x64, 0xff9b, 0, 0, 0, 0, 0, 0]), 96), // NAT64
];

/// How far an address leads.
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_4(address),
        IpAddr::V6(address) => reach_6(address),
    }
}

fn reach_4(address: Ipv4Addr) -> Reach {
    let bytes = address.octets();
    if NEVER_4.iter().any(|net| holds(net, &bytes)) {
        Reach::Never
    } else if PRIVATE_4.iter().any(|net| holds(net, &bytes)) {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn reach_6(address: Ipv6Addr) -> Reach {
    let bytes = address.octets();
    if HOLDS_4.iter().any(|net| holds(net, &bytes)) {
        let [.., a, b, c, d] = bytes;
        return reach_4(Ipv4Addr::new(a, b, c, d));
    }
    if address.is_unspecified() || NEVER_6.iter().any(|net| holds(net, &bytes)) {
        Reach::Never
    } else if holds(&GLOBAL_6, &bytes) && !PRIVATE_6.iter().any(|net| holds(net, &bytes)) {
        Reach::Public
    } else {
        Reach::Private
    }
}

/// Whether the leading bits are the same.
fn holds<const N: usize>((first, bits): &Net<N>, address: &[u8; N]) -> bool {
    let mut left = *bits;
    first.iter().zip(address).all(|(a, b)| {
        let count = left.min(8);
        left -= count;
        // 0 leading bits make an empty mask; a shift by 8 would overflow.
        let mask = u8::try_from((0xff00_u16 >> count) & 0xff).unwrap_or(0xff);
        (a ^ b) & mask == 0
    })
}

/// The bytes of eight groups as they are written.
const fn words(groups: [u16; 8]) -> [u8; 16] {
    Ipv6Addr::new(groups[0], groups[1], groups[2], groups[3], groups[4], groups[5], groups[6], groups[7])
        .octets()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Reach {
        reach(text.parse().unwrap())
    }

    #[test]
    fn the_table_at_its_edges() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "168.63.129.15",
        ] {
            assert_eq!(of(public), Reach::Public, "{public}");
        }
        for private in [
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.255",
            "168.63.129.16",
            "::1",
            "::2",
            "::7f00:1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fdff::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "4000::1",
            "64:ff9b:1::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::10.0.0.1",
        ] {
            assert_eq!(of(private), Reach::Private, "{private}");
        }
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "ff02::1",
            "ffff::1",
            "::ffff:0.0.0.0",
            "::ffff:224.0.0.1",
            "64:ff9b::0.0.0.0",
        ] {
            assert_eq!(of(never), Reach::Never, "{never}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_the_standard_library_calls_special_is_public(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_unspecified();
            if special {
                prop_assert_ne!(reach(address.into()), Reach::Public);
            }
        }

        #[test]
        fn an_address_inside_an_address_changes_nothing(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let plain = reach(address.into());
            prop_assert_eq!(reach(address.to_ipv6_mapped().into()), plain);
            let nat64 = u128::from(bits) | (0x0064_ff9b_u128 << 96);
            prop_assert_eq!(reach(Ipv6Addr::from_bits(nat64).into()), plain);
            // The forms that were withdrawn are never public, whatever they hold.
            let compatible = Ipv6Addr::from_bits(u128::from(bits));
            prop_assert_ne!(reach(compatible.into()), Reach::Public);
            let six_to_four = Ipv6Addr::from_bits((0x2002_u128 << 112) | (u128::from(bits) << 80));
            prop_assert_ne!(reach(six_to_four.into()), Reach::Public);
        }

        #[test]
        fn in_ipv6_only_global_unicast_is_public(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            if address.to_ipv4_mapped().is_none() && bits >> 96 != 0x0064_ff9b {
                let global = bits >> 125 == 1;
                prop_assert!(global || reach(address.into()) != Reach::Public);
            }
        }

        #[test]
        fn a_net_holds_exactly_what_shares_its_bits(first: u32, other: u32, bits in 0_u32..=32) {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            let same = (first ^ other) & mask == 0;
            let net = (first.to_be_bytes(), bits);
            prop_assert_eq!(holds(&net, &other.to_be_bytes()), same);
        }
    }
}
