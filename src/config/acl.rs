//! Who may connect: a policy and the networks that are its exceptions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An access list; the default lets everybody in.
///
/// IPv4-mapped IPv6 addresses and networks count as IPv4. Since every exception of a list means the same, networks that overlap
/// are merged when the list is made, and the most specific entry that holds an address says nothing else than the widest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acl {
    policy: Policy,
    /// Disjoint and sorted, so that at most one can hold an address.
    v4: Vec<Ipv4Net>,
    /// Disjoint and sorted.
    v6: Vec<Ipv6Net>,
}

/// What holds for an address that is not among the exceptions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// Everybody is let in but the exceptions.
    #[default]
    Allow,
    /// Nobody is let in but the exceptions.
    Deny,
}

/// The proof that an address passed an access list; only [`Acl::check`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted(());

impl Acl {
    /// A list with this policy and these exceptions.
    pub fn new(policy: Policy, exceptions: impl IntoIterator<Item = IpNet>) -> Acl {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in exceptions {
            match unmapped(net.trunc()) {
                IpNet::V4(net) => v4.push(net),
                IpNet::V6(net) => v6.push(net),
            }
        }
        let (mut v4, mut v6) = (Ipv4Net::aggregate(&v4), Ipv6Net::aggregate(&v6));
        v4.sort_unstable();
        v6.sort_unstable();
        Acl { policy, v4, v6 }
    }

    /// Whether a client with this address may connect.
    pub fn admits(&self, ip: IpAddr) -> bool {
        match self.policy {
            Policy::Allow => !self.lists(ip),
            Policy::Deny => self.lists(ip),
        }
    }

    /// As [`Acl::admits`], with the answer as a value that nothing else can make.
    pub fn check(&self, ip: IpAddr) -> Option<Admitted> {
        self.admits(ip).then_some(Admitted(()))
    }

    fn lists(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => holds(&self.v4, |net| net.network() <= ip, |net| net.contains(&ip)),
            IpAddr::V6(ip) => holds(&self.v6, |net| net.network() <= ip, |net| net.contains(&ip)),
        }
    }
}

/// Looks into the last network that starts at or before the address: being disjoint, no other can hold it.
fn holds<N>(nets: &[N], starts_before: impl Fn(&N) -> bool, contains: impl Fn(&N) -> bool) -> bool {
    let after = nets.partition_point(starts_before);
    after.checked_sub(1).is_some_and(|last| contains(&nets[last]))
}

/// A network inside `::ffff:0:0/96` as the IPv4 network that it stands for.
fn unmapped(net: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= MAPPED_BITS => match v6.network().to_ipv4_mapped() {
            Some(ip) => Ipv4Net::new(ip, v6.prefix_len() - MAPPED_BITS).map_or(net, IpNet::V4),
            None => net,
        },
        _ => net,
    }
}

/// Reads an entry of a list: a network in CIDR notation, or one address.
///
/// # Errors
/// Says what is wrong with the text.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(ip));
    }
    let Some((ip, length)) = text.split_once('/') else {
        return Err("is no address and no network".to_string());
    };
    let bits = match ip.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => Ipv4Addr::BITS,
        Ok(IpAddr::V6(_)) => Ipv6Addr::BITS,
        Err(_) => return Err(format!("\"{ip}\" is no address")),
    };
    text.parse::<IpNet>()
        .map_err(|_| format!("the network length \"{length}\" is not a number from 0 to {bits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(policy: Policy, exceptions: &[&str]) -> Acl {
        Acl::new(policy, exceptions.iter().map(|text| parse_network(text).unwrap()))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_default_lets_everybody_in() {
        assert!(Acl::default().admits(ip("203.0.113.9")));
        assert!(Acl::default().admits(ip("2001:db8::1")));
        assert!(Acl::default().check(ip("2001:db8::1")).is_some());
    }

    #[test]
    fn allow_denies_the_exceptions_only() {
        let acl = acl(Policy::Allow, &["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]);
        for (text, admitted) in [
            ("9.255.255.255", true),
            ("10.0.0.0", false),
            ("10.255.255.255", false),
            ("11.0.0.0", true),
            ("192.0.2.6", true),
            ("192.0.2.7", false),
            ("192.0.2.8", true),
            ("2001:db7:ffff::1", true),
            ("2001:db8::1", false),
            ("2001:db9::", true),
            ("::1", true),
        ] {
            assert_eq!(acl.admits(ip(text)), admitted, "{text}");
            assert_eq!(acl.check(ip(text)).is_some(), admitted, "{text}");
        }
    }

    #[test]
    fn deny_admits_the_exceptions_only() {
        let acl = acl(Policy::Deny, &["127.0.0.0/8", "::1"]);
        assert!(acl.admits(ip("127.9.9.9")));
        assert!(acl.admits(ip("::1")));
        assert!(!acl.admits(ip("::2")));
        assert!(!acl.admits(ip("128.0.0.1")));
        assert!(!super::Acl::new(Policy::Deny, []).admits(ip("127.0.0.1")));
    }

    #[test]
    fn a_mapped_address_is_an_ipv4_address() {
        let acl = acl(Policy::Deny, &["192.0.2.0/24", "::ffff:198.51.100.0/120"]);
        assert!(acl.admits(ip("::ffff:192.0.2.1")));
        assert!(acl.admits(ip("198.51.100.200")));
        assert!(!acl.admits(ip("198.51.101.0")));
    }

    #[test]
    fn overlapping_and_neighbouring_networks_hold_what_each_of_them_holds() {
        let texts = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "11.0.0.0/8", "12.0.0.0/32", "0.0.0.0/32"];
        let nets: Vec<IpNet> = texts.iter().map(|text| parse_network(text).unwrap()).collect();
        let acl = Acl::new(Policy::Deny, nets.iter().copied());
        for first in 0..=13u8 {
            for rest in [[0, 0, 0], [0, 0, 1], [1, 2, 3], [255, 255, 255]] {
                let ip = IpAddr::from([first, rest[0], rest[1], rest[2]]);
                assert_eq!(acl.admits(ip), nets.iter().any(|net| net.contains(&ip)), "{ip}");
            }
        }
    }

    #[test]
    fn a_network_of_length_0_is_everybody_of_that_family() {
        let acl = acl(Policy::Deny, &["0.0.0.0/0"]);
        assert!(acl.admits(ip("255.255.255.255")));
        assert!(!acl.admits(ip("2001:db8::1")));
    }

    #[test]
    fn host_bits_of_a_network_do_not_count() {
        assert!(acl(Policy::Deny, &["10.1.2.3/8"]).admits(ip("10.200.0.1")));
    }

    #[test]
    fn a_wrong_entry_is_explained() {
        assert_eq!(parse_network("localhost").unwrap_err(), "is no address and no network");
        assert_eq!(parse_network("10.0.0/8").unwrap_err(), "\"10.0.0\" is no address");
        assert_eq!(
            parse_network("10.0.0.0/33").unwrap_err(),
            "the network length \"33\" is not a number from 0 to 32"
        );
        assert_eq!(
            parse_network("::/129").unwrap_err(),
            "the network length \"129\" is not a number from 0 to 128"
        );
    }
}
