"""What the user may choose of the live page, and its limits. Not the address, which is the sink's name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fcn_edge.errors import UsageError

LEAST_TOKEN = 16  # letters: what four tries a second do not find


@dataclass(frozen=True)
class WebOptions:
    """Who may watch, and how much of them the machine bears."""

    token: str | None = field(default=None, repr=False)  # asked for at every address, this machine's own too
    token_file: Path | None = None  # holds the token, or will; by default in the state folder where one is needed
    allow_no_token: bool = False  # anybody in the network may watch
    allowed_hosts: tuple[str, ...] = ()  # names under which browsers reach the page, beside its address
    max_viewers: int = 8  # of /live and /stream together
    max_connections: int = 64
    header_s: float = 10.0  # from connecting to a whole request
    idle_s: float = 15.0  # from an answer to the next whole request
    write_s: float = 10.0  # for one picture to leave for one viewer
    wrong_token_s: float = 1.0  # how long a wrong token waits for its answer
    jpeg_quality: int = 80
    longest_side: int = 1920  # pixels: larger frames are shrunk for viewers

    def __post_init__(self) -> None:
        if self.token is not None:
            require_token(self.token, "the live page's token")
        for name in self.allowed_hosts:
            if not is_host_name(name):
                raise UsageError(f"wanted a name as in jetson.local, found {name!r}; leave scheme and port out")


def is_host_name(name: str) -> bool:
    """Whether a browser may call a machine so, without scheme and port."""
    return bool(name) and not set(name) & set("/:@[] ")


def require_token(token: str, what: str) -> None:
    """Raises UsageError for what is too short, or cannot stand in a header and a URL."""
    if len(token) < LEAST_TOKEN or not all("!" <= letter <= "~" for letter in token):
        raise UsageError(
            f"{what}: wanted at least {LEAST_TOKEN} letters, digits and signs, found {len(token)} or others; "
            "leave it out and one is made"
        )
