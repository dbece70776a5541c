"""How URLs are parsed, and which addresses count as public."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_container.address import Policy, check_addresses, check_target, is_public, parse_url
from lambda_container.errors import RequestError

PUBLIC = ["93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:800::200e"]
NOT_PUBLIC = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "169.254.79.129",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::a00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3ffe::1",
    "3fff::1",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:7f00:1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700:4700::1111%eth0",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_private_or_carries_another_is_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_no_ipv6_form_of_an_ipv4_address_is_public(address: object) -> None:
    number = int(address)  # type: ignore[call-overload]
    high, low = number >> 16, number & 0xFFFF
    for form in ("::{:x}:{:x}", "::ffff:{:x}:{:x}", "64:ff9b::{:x}:{:x}", "64:ff9b:1::{:x}:{:x}", "2002:{:x}:{:x}::1"):
        assert not is_public(form.format(high, low))


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "017700000001",
        "0x7f.0x0.0x0.0x1",
        "127.0.0.01",
        "256.256.256.256",
        "1.2.3.4.5",
        "example.com.0x7f",
        "2852039166",
        "127.0.0.0x1",
        "0",
        "0x",
        "１２７。１",
    ],
)
def test_a_disguised_ip_address_is_refused_and_not_interpreted(host: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_url(f"https://{host}/")
    assert caught.value.status == 403


@pytest.mark.parametrize(
    "url",
    [
        "",
        "   ",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://@example.com/",
        "https://example.com@127.0.0.1/",
        "https://exa mple.com/",
        "https://example.com/a b",
        "https://example.com/a\tb",
        "https://exam\nple.com/",
        "https://example.com\\@evil.test/",
        "https://example.com/\x00",
        "https://example.com/\ud800",
        "https://example..com/",
        "https://.example.com/",
        "https://example.com../",
        "https://-example.com/",
        "https://exa%6dple.com/",
        "https://example.com:port/",
        "https://example.com:99999/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[v1.x]/",
        "https://[127.0.0.1]/",
        "https://" + "a" * 64 + ".com/",
        "https://" + "a." * 140 + "com/",
        "https://example.com/" + "a" * 9000,
        "https://" + "ü" * 80 + ".com/",
    ],
)
def test_anything_but_a_plain_url_is_answered_400(url: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_url(url)
    assert (caught.value.status, caught.value.code) == (400, "bad-url")


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "example.com/a.jpg"]
)
def test_another_scheme_is_refused(url: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_url(url)
    assert (caught.value.status, caught.value.code) == (403, "scheme-not-allowed")


def test_a_url_is_parsed_into_the_address_to_connect_to_and_the_path_to_send() -> None:
    target = parse_url(" HTTPS://Example.COM./Dogs/Carolina Dog.jpg?size=1&name=ö#part ".replace("Carolina Dog", "ü"))
    assert target.host == "example.com"
    assert target.port == 443
    assert target.path == "/Dogs/%C3%BC.jpg?size=1&name=%C3%B6"
    assert target.host_header == "example.com"
    assert not target.literal


def test_escapes_that_a_url_already_has_are_kept() -> None:
    assert parse_url("https://example.com/a%20b/%E2%82%AC?x=%2F").path == "/a%20b/%E2%82%AC?x=%2F"


def test_international_names_become_ascii_before_they_are_judged() -> None:
    assert parse_url("https://Bücher.example/").host == "xn--bcher-kva.example"
    target = parse_url("https://１２７。０.０.１/")
    assert (target.host, target.literal) == ("127.0.0.1", True)


def test_an_ipv6_address_keeps_its_brackets_in_the_host_header() -> None:
    target = parse_url("https://[2606:4700:4700:0::1111]:443/")
    assert (target.host, target.host_header, target.literal) == ("2606:4700:4700::1111", "[2606:4700:4700::1111]", True)


def test_only_https_and_the_usual_ports_are_allowed_by_default() -> None:
    check_target(parse_url("https://example.com/"), Policy())
    for url, code in (
        ("http://example.com/", "scheme-not-allowed"),
        ("https://example.com:8443/", "port-not-allowed"),
        ("https://example.com:22/", "port-not-allowed"),
    ):
        with pytest.raises(RequestError) as caught:
            check_target(parse_url(url), Policy())
        assert (caught.value.status, caught.value.code) == (403, code)


def test_http_urls_are_fetched_when_allowed() -> None:
    check_target(parse_url("http://example.com/"), Policy(allow_http=True))


def test_one_private_address_among_public_ones_refuses_them_all() -> None:
    target = parse_url("https://example.com/")
    check_addresses(target, ["8.8.8.8", "1.1.1.1"], Policy())
    with pytest.raises(RequestError) as caught:
        check_addresses(target, ["8.8.8.8", "10.0.0.1"], Policy())
    assert (caught.value.status, caught.value.code) == (403, "address-not-allowed")


def test_only_the_exact_host_and_port_of_a_pair_may_be_private() -> None:
    policy = Policy(allow_http=True, allow_hosts=frozenset({("pictures.test", 9000)}))
    allowed = parse_url("http://pictures.test:9000/")
    check_target(allowed, policy)
    check_addresses(allowed, ["172.17.0.1"], policy)
    for url in ("http://pictures.test/", "http://www.pictures.test/", "http://172.17.0.1/"):
        with pytest.raises(RequestError):
            check_addresses(parse_url(url), ["172.17.0.1"], policy)
    with pytest.raises(RequestError):
        check_target(parse_url("http://pictures.test:9001/"), policy)
