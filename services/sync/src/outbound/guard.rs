//! Which addresses a request that a caller's settings lead to may reach. Pure.
//!
//! What is not a public address of the internet is refused: loopback, link-local (where clouds keep their metadata), private
//! and shared ranges, multicast, and IPv6 forms that carry such an IPv4 address. An operator exempts names and ranges by
//! `SYNC_ALLOW_HOSTS`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A name or a range that may be reached although it is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exemption {
    /// A host of exactly this name, whatever its address.
    Name(String),
    /// Addresses that begin with these bits.
    Range {
        /// The first address.
        first: IpAddr,
        /// Bits that count.
        bits: u32,
    },
}

/// Why a text is no exemption.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is neither a host's name, nor an address, nor a range such as 10.0.0.0/8")]
pub struct NotAnExemption {
    text: String,
}

impl FromStr for Exemption {
    type Err = NotAnExemption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotAnExemption { text: text.to_owned() };
        if let Some((first, bits)) = text.split_once('/') {
            let first: IpAddr = first.parse().map_err(|_| refused())?;
            let bits: u32 = bits.parse().map_err(|_| refused())?;
            let most = if first.is_ipv4() { 32 } else { 128 };
            return if bits <= most {
                Ok(Self::Range { first, bits })
            } else {
                Err(refused())
            };
        }
        if let Ok(first) = text.parse::<IpAddr>() {
            let bits = if first.is_ipv4() { 32 } else { 128 };
            return Ok(Self::Range { first, bits });
        }
        let is_name = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '.' || char == '_';
        if text.is_empty() || !text.chars().all(is_name) {
            return Err(refused());
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

impl Exemption {
    fn covers(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Self::Name(name) => host.trim_end_matches('.').eq_ignore_ascii_case(name),
            Self::Range { first, bits } => match (first, address) {
                (IpAddr::V4(first), IpAddr::V4(address)) => {
                    let differs = first.to_bits() ^ address.to_bits();
                    differs.leading_zeros() >= *bits
                }
                (IpAddr::V6(first), IpAddr::V6(address)) => {
                    let differs = first.to_bits() ^ address.to_bits();
                    differs.leading_zeros() >= *bits
                }
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
            },
        }
    }
}

/// Tells whether a request to `host` may be sent to `address`.
#[must_use]
pub fn admits(exemptions: &[Exemption], host: &str, address: IpAddr) -> bool {
    let plain = plain(address);
    is_public(plain) || exemptions.iter().any(|exemption| exemption.covers(host, plain))
}

/// Returns the IPv4 address that an IPv6 address stands for, if it stands for one.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// The ranges of IPv4 that the internet does not route (RFC 6890 and its successors): first address, bits.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 14] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved, broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(first, bits): &(Ipv4Addr, u32)| (first.to_bits() ^ address.to_bits()).leading_zeros() >= *bits;
    !NOT_PUBLIC_V4.iter().any(within)
}

/// The ranges of 2000::/3 that the internet does not route, or that lead somewhere else: Teredo, protocol assignments,
/// documentation.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let within = |first: Ipv6Addr, length: u32| (first.to_bits() ^ bits).leading_zeros() >= length;
    let low = |shift: u32| u32::try_from((bits >> shift) & u128::from(u32::MAX)).unwrap_or_default();
    // A translator's prefix and 6to4 carry an IPv4 address, and are judged by it.
    if within(Ipv6Addr::new(0x0064, 0xff9b, 0, 0, 0, 0, 0, 0), 96) {
        return is_public_v4(Ipv4Addr::from_bits(low(0)));
    }
    if within(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16) {
        return is_public_v4(Ipv4Addr::from_bits(low(80)));
    }
    within(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
        && !NOT_PUBLIC_V6.iter().any(|(first, length)| within(*first, *length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn admitted(exemptions: &[&str], host: &str, address: &str) -> bool {
        let exemptions: Vec<Exemption> = exemptions.iter().map(|text| text.parse().expect("fits")).collect();
        admits(&exemptions, host, address.parse().expect("an address"))
    }

    #[test]
    fn what_is_not_public_is_refused() {
        let inside = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for address in inside {
            assert!(!admitted(&[], "host", address), "{address}");
        }
    }

    #[test]
    fn what_is_public_is_admitted() {
        let outside = [
            "1.1.1.1",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
            "2606:4700::1111",
        ];
        for address in outside {
            assert!(admitted(&[], "host", address), "{address}");
        }
    }

    #[test]
    fn an_exemption_covers_what_it_names_and_nothing_else() {
        let exempt = ["127.0.0.0/8", "Git.Internal", "fd00::/8", "10.1.2.3"];
        assert!(admitted(&exempt, "x", "127.9.9.9") && admitted(&exempt, "x", "::ffff:127.0.0.1"));
        assert!(admitted(&exempt, "git.internal", "10.0.0.1") && admitted(&exempt, "GIT.internal.", "10.0.0.1"));
        assert!(!admitted(&exempt, "not-git.internal", "10.0.0.1") && !admitted(&exempt, "internal", "10.0.0.1"));
        assert!(admitted(&exempt, "x", "fd12::1") && !admitted(&exempt, "x", "fe80::1"));
        assert!(admitted(&exempt, "x", "10.1.2.3") && !admitted(&exempt, "x", "10.1.2.4"));
        assert!(admitted(&["0.0.0.0/0"], "x", "10.1.2.4") && !admitted(&["0.0.0.0/0"], "x", "::1"));
    }

    #[test]
    fn what_is_no_exemption_is_not_taken_for_one() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "a b",
            "*",
            "http://x",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Exemption>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_alike_in_each_of_its_forms(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            let alone = is_public_v4(v4);
            prop_assert_eq!(admits(&[], "x", IpAddr::V6(v4.to_ipv6_mapped())), alone);
            let sixth = Ipv6Addr::from_bits((0x2002_u128 << 112) | (u128::from(bits) << 80));
            prop_assert_eq!(admits(&[], "x", IpAddr::V6(sixth)), alone);
            let translated = Ipv6Addr::from_bits((0x0064_ff9b_u128 << 96) | u128::from(bits));
            prop_assert_eq!(admits(&[], "x", IpAddr::V6(translated)), alone);
        }
    }
}
