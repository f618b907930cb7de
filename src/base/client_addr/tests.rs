use super::*;

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|t| t.parse().unwrap()).collect()
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, value.parse().unwrap());
    }
    map
}

fn read(peer: &str, trusted: &[&str], lines: &[(&'static str, &str)]) -> Result<Forwarded, BadForwarded> {
    let trusted = nets(trusted);
    Peer::new(peer.parse().unwrap(), &trusted).forwarded(&headers(lines), &trusted)
}

fn own() -> OwnOrigin {
    let value = HeaderValue::from_static;
    OwnOrigin { proto: value("https"), host: value("app.example.com"), port: value("443") }
}

const PROXIES: &[&str] = &["10.0.0.0/8", "2001:db8:1::/48"];

/// X12, X13
#[test]
fn an_untrusted_peer_says_nothing() {
    for (peer, trusted) in [("203.0.113.5", PROXIES), ("10.0.0.1", &[]), ("::ffff:203.0.113.5", PROXIES), ("::1", &[])]
    {
        let lies = [
            ("x-forwarded-for", "10.0.0.1, garbage"),
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-port", "1"),
        ];
        let found = read(peer, trusted, &lies).unwrap();
        let ip = peer.parse::<IpAddr>().unwrap().to_canonical();
        assert_eq!(found.client, ip);
        assert_eq!(found.chain, ip.to_string());
        assert_eq!((found.scheme, found.host.clone(), found.port), (None, None, None));

        let mut upstream = headers(&lies);
        upstream.append("x-forwarded-host", HeaderValue::from_static("second.example"));
        found.set(&mut upstream, &own());
        let all = |name| upstream.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(all("x-forwarded-for"), [ip.to_string()]);
        assert_eq!(all("x-forwarded-proto"), ["https"]);
        assert_eq!(all("x-forwarded-host"), ["app.example.com"]);
        assert_eq!(all("x-forwarded-port"), ["443"]);
    }
}

/// X14
#[test]
fn the_right_most_untrusted_hop_is_the_client() {
    for (lines, client, chain) in [
        (vec!["203.0.113.5"], "203.0.113.5", "203.0.113.5, 10.0.0.1"),
        (vec!["10.9.9.9, 203.0.113.5"], "203.0.113.5", "203.0.113.5, 10.0.0.1"),
        (vec!["127.0.0.1,203.0.113.5 , 10.0.0.7"], "203.0.113.5", "203.0.113.5, 10.0.0.7, 10.0.0.1"),
        (vec!["198.51.100.1", "203.0.113.5", "10.0.0.7"], "203.0.113.5", "203.0.113.5, 10.0.0.7, 10.0.0.1"),
        (vec!["what they like, 203.0.113.5"], "203.0.113.5", "203.0.113.5, 10.0.0.1"),
        (vec!["10.0.0.9, 10.0.0.8"], "10.0.0.9", "10.0.0.9, 10.0.0.8, 10.0.0.1"),
        (vec!["203.0.113.5:4711"], "203.0.113.5", "203.0.113.5, 10.0.0.1"),
        (vec!["203.0.113.5, ::ffff:10.0.0.7"], "203.0.113.5", "203.0.113.5, 10.0.0.7, 10.0.0.1"),
        (vec!["::ffff:203.0.113.5"], "203.0.113.5", "203.0.113.5, 10.0.0.1"),
        (vec!["[2001:db8:9::1]:443, [2001:db8:1::2]"], "2001:db8:9::1", "2001:db8:9::1, 2001:db8:1::2, 10.0.0.1"),
        (vec!["2001:DB8:9::1"], "2001:db8:9::1", "2001:db8:9::1, 10.0.0.1"),
        (vec!["203.0.113.5, ,"], "203.0.113.5", "203.0.113.5, 10.0.0.1"),
        (vec![""], "10.0.0.1", "10.0.0.1"),
        (vec![], "10.0.0.1", "10.0.0.1"),
    ] {
        for peer in ["10.0.0.1", "::ffff:10.0.0.1"] {
            let found =
                read(peer, PROXIES, &lines.iter().map(|l| ("x-forwarded-for", *l)).collect::<Vec<_>>()).unwrap();
            assert_eq!(found.client.to_string(), client, "{lines:?}");
            assert_eq!(found.chain, chain, "{lines:?}");
        }
    }
}

#[test]
fn what_a_trusted_proxy_garbles_is_an_error() {
    for bad in [
        "unknown",
        "_hidden",
        "203.0.113.5, localhost",
        "203.0.113.5 10.0.0.1",
        "203.0.113.05",
        "203.0.113",
        "203.0.113.5:",
        "203.0.113.5:x",
        "203.0.113.5:99999",
        "203.0.113.5:+1",
        "[2001:db8::1",
        "2001:db8::1]",
        "[203.0.113.5]",
        "[2001:db8::1]x",
        "fe80::1%eth0",
        "for=203.0.113.5",
        "\"203.0.113.5\"",
        "203.0.113.5;10.0.0.1",
        "0xcb.0.113.5",
    ] {
        assert_eq!(read("10.0.0.1", PROXIES, &[("x-forwarded-for", bad)]).unwrap_err(), BadForwarded::For, "{bad:?}");
    }
    let hops = |n| vec!["10.0.0.2"; n].join(",");
    assert!(read("10.0.0.1", PROXIES, &[("x-forwarded-for", &hops(32))]).is_ok());
    assert_eq!(read("10.0.0.1", PROXIES, &[("x-forwarded-for", &hops(33))]).unwrap_err(), BadForwarded::For);
}

#[test]
fn a_trusted_proxy_tells_scheme_host_and_port() {
    let say = |lines: &[(&'static str, &str)]| {
        let found = read("10.0.0.1", PROXIES, lines)?;
        let mut upstream = headers(lines);
        found.set(&mut upstream, &own());
        let get = |name: &str| upstream.get(name).unwrap().to_str().unwrap().to_owned();
        Ok((get("x-forwarded-proto"), get("x-forwarded-host"), get("x-forwarded-port")))
    };
    let three = |a: &str, b: &str, c: &str| Ok((a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(say(&[]), three("https", "app.example.com", "443"));
    assert_eq!(say(&[("x-forwarded-proto", "http")]), three("http", "app.example.com", "80"));
    assert_eq!(say(&[("x-forwarded-proto", "HTTPS")]), three("https", "app.example.com", "443"));
    assert_eq!(say(&[("x-forwarded-proto", "wss")]), three("https", "app.example.com", "443"));
    assert_eq!(say(&[("x-forwarded-proto", "https,https")]), three("https", "app.example.com", "443"));
    assert_eq!(say(&[("x-forwarded-host", "b.example")]), three("https", "b.example", "443"));
    assert_eq!(say(&[("x-forwarded-host", "b.example:8443")]), three("https", "b.example:8443", "8443"));
    assert_eq!(say(&[("x-forwarded-host", "[2001:db8::1]:8443")]), three("https", "[2001:db8::1]:8443", "8443"));
    assert_eq!(
        say(&[("x-forwarded-host", "b.example:8443"), ("x-forwarded-port", "444")]),
        three("https", "b.example:8443", "444")
    );
    for (name, bad, why) in [
        ("x-forwarded-proto", "ftp", BadForwarded::Proto),
        ("x-forwarded-proto", "", BadForwarded::Proto),
        ("x-forwarded-proto", "https, http", BadForwarded::Proto),
        ("x-forwarded-host", "a.example, b.example", BadForwarded::Host),
        ("x-forwarded-host", "user@b.example", BadForwarded::Host),
        ("x-forwarded-host", "b.example/x", BadForwarded::Host),
        ("x-forwarded-host", "b.example:0", BadForwarded::Host),
        ("x-forwarded-host", "b.example:99999", BadForwarded::Host),
        ("x-forwarded-host", "b example", BadForwarded::Host),
        ("x-forwarded-host", "b%2eexample", BadForwarded::Host),
        ("x-forwarded-host", ":80", BadForwarded::Host),
        ("x-forwarded-port", "0", BadForwarded::Port),
        ("x-forwarded-port", "https", BadForwarded::Port),
        ("x-forwarded-port", "443, 80", BadForwarded::Port),
        ("x-forwarded-port", "65536", BadForwarded::Port),
    ] {
        assert_eq!(say(&[(name, bad)]), Err(why), "{name}: {bad:?}");
    }
}

#[test]
fn the_list_of_other_headers_is_sorted_and_lower_case() {
    assert!(OTHER_FORWARDING.is_sorted());
    for name in OTHER_FORWARDING {
        assert_eq!(HeaderName::from_static(name).as_str(), name);
    }
    for x12 in ["forwarded", "x-real-ip", "x-original-url", "x-rewrite-url", "x-forwarded-prefix", "true-client-ip"] {
        assert!(OTHER_FORWARDING.contains(&x12));
    }
}
