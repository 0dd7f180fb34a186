"""fcn_edge.credentials: no text shows them, and whoever connects gets them as they were typed."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fcn_edge.credentials import redact, split_credentials
from fcn_edge.errors import UsageError
from runtime.sources.address import read_address

# Letters that passwords hold and URLs mind, and some of everybody else's. No two words of the texts below.
AWKWARD = st.text(st.sampled_from("@/?#:&%=;_+ÄéQ漢'\"\\<>[]{}|^`~!$()*,.-0123456789"), min_size=4, max_size=20)
ESCAPED = st.text(min_size=1, max_size=20).map(lambda text: quote(text, safe=""))
SCHEMES = st.sampled_from(["rtsp", "rtsps", "http", "https", "rtsp+udp"])


@given(SCHEMES, AWKWARD, AWKWARD)
def test_no_text_shows_a_password_however_odd(scheme: str, user: str, password: str) -> None:
    text = redact(f"wanted {scheme}://{user}:{password}@camera/live, found nothing")
    assert text == f"wanted {scheme}://***@camera/live, found nothing"


@given(SCHEMES, AWKWARD)
def test_no_address_shows_a_password_whether_it_is_taken_or_refused(scheme: str, password: str) -> None:
    for typed in (password, quote(password, safe="")):
        try:
            shown = read_address(f"{scheme}://user:{typed}@camera/live").shown
        except UsageError as refusal:
            shown = str(refusal)
        assert password not in shown and typed not in shown


@given(
    AWKWARD.map(lambda text: text.replace("&", "+")), st.sampled_from(["password", "pwd", "token", "PASS", "authKey"])
)
def test_no_query_shows_a_password(password: str, name: str) -> None:
    assume(not any(other in password for other in ("=", "@", "_")))
    shown = redact(f"http://camera/video.cgi?{name}={password}&size=3 is not there")
    assert shown == f"http://camera/video.cgi?{name}=***&size=3 is not there"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://h/user=admin&password=tlJw_po6&channel=1", "rtsp://h/user=***&password=***&channel=1"),
        (
            "rtsp://h/user=admin_password=tlJw_channel=1_stream=0.sdp",
            "rtsp://h/user=***_password=***_channel=1_stream=0.sdp",
        ),
        ("http://h/a?access_token=x", "http://h/a?access_token=***"),
        ("http:/u:p@h/a", "http:/***@h/a"),
        ("rtsp://u:p@h1/a, rtsp://u:q@h2/b", "rtsp://***@h1/a, rtsp://***@h2/b"),
        ("found nothing at front.door=rtsp:/u:p@h/x", "found nothing at front.door=rtsp:/***@h/x"),
        ("found 'rtsp//u:p@h/x'", "found 'rtsp//***@h/x'"),
        ("admin:secret@10.0.0.7:554/live is no file", "admin:***@10.0.0.7:554/live is no file"),
        ("http://h/v?u=me&pw=sek1&code=7", "http://h/v?u=me&pw=***&code=***"),
        ("test://?rate=5&fault=stall@40: no picture", "test://?rate=5&fault=stall@40: no picture"),
        ("nothing to hide: keys=3, mail me@home", "nothing to hide: keys=3, mail me@home"),
        ("http://host/monkey=3?rate=30", "http://host/monkey=3?rate=30"),
    ],
)
def test_what_is_hidden_and_what_stays(text: str, shown: str) -> None:
    assert redact(text) == shown


@given(st.text())
def test_hiding_twice_hides_no_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(SCHEMES, ESCAPED, ESCAPED)
def test_escaped_credentials_are_given_as_they_were_meant(scheme: str, user: str, password: str) -> None:
    url, credentials = split_credentials(f"{scheme}://{user}:{password}@camera:8554/live?a=b@c")
    assert url == f"{scheme}://camera:8554/live?a=b@c"
    assert credentials is not None
    assert (quote(credentials.user, safe=""), quote(credentials.password, safe="")) == (user, password)


@pytest.mark.parametrize("password", ["p@ss", "p/ss", "p?ss", "p#ss", "p/s?s#", "p:ss", "", "/"])
def test_a_password_may_be_typed_as_it_is(password: str) -> None:
    url, credentials = split_credentials(f"rtsp://admin:{password}@camera/live")
    assert url == "rtsp://camera/live"
    assert credentials is not None and (credentials.user, credentials.password) == ("admin", password)


@pytest.mark.parametrize(
    "url", ["rtsp://camera/live", "http://camera:80/a@b", "http://[::1]:80/a@b", "http://c/?m=a@b"]
)
def test_an_address_without_credentials_has_none(url: str) -> None:
    assert split_credentials(url) == (url, None)


def test_a_password_is_not_in_the_words_for_programmers() -> None:
    assert "secret" not in repr(split_credentials("http://admin:secret@camera/")[1])
