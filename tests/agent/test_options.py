"""The options: from the command line or the environment, each wrong one named with what mends it."""

from pathlib import Path
from uuid import uuid4

import pytest

from apps.checks.domain.agent_wire import AgentToken
from config.agent.errors import AgentError
from config.agent.options import Options, read_options

TOKEN = AgentToken(uuid4(), "s" * 43, b"k" * 32)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def options(token_file: Path, *more: str, **environment: str) -> Options:
    return read_options(["--server", "https://obsera.example", "--token-file", str(token_file), *more], environment)


def test_defaults(token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/home/x/state")

    read = options(token_file)

    assert (read.server, read.token, read.kinds, read.controls) == ("https://obsera.example", TOKEN, frozenset(), ())
    assert (str(read.state_dir), read.buffer_bytes) == ("/home/x/state/obsera-agent", 512 * 1_048_576)
    assert (str(read.allowed), read.ca_file, read.warnings) == ("0.0.0.0/0, ::/0", "", ())


def test_everything_may_come_from_the_environment(tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_text("-----BEGIN CERTIFICATE-----\n")

    read = read_options(
        [],
        {
            "OBSERA_AGENT_SERVER": "https://obsera.example:8443/base/",
            "OBSERA_AGENT_TOKEN": f" {TOKEN} ",
            "OBSERA_AGENT_STATE_DIR": "/srv/state",
            "OBSERA_AGENT_ALLOW": "10.0.0.0/8:443, fd00::/8",
            "OBSERA_AGENT_KINDS": "http,tcp",
            "OBSERA_AGENT_CONTROL": "https://example.com/, 192.0.43.8",
            "OBSERA_AGENT_CA_FILE": str(roots),
            "OBSERA_AGENT_BUFFER_MIB": "16",
        }
        | {"OBSERA_AGENT_ALLOW": "0.0.0.0/0,fd00::/8"},
    )

    assert (read.server, read.token, str(read.state_dir)) == ("https://obsera.example:8443/base", TOKEN, "/srv/state")
    assert (str(read.allowed), read.kinds) == ("0.0.0.0/0, fd00::/8", {"http", "tcp"})
    assert read.controls == ("https://example.com/", "https://192.0.43.8/")
    assert (read.ca_file, read.buffer_bytes) == (str(roots), 16 * 1_048_576)


def test_the_command_line_overrides_the_environment(token_file: Path) -> None:
    read = options(
        token_file, "--allow", "10.0.0.0/8", "--allow", "192.168.0.0/16", OBSERA_AGENT_ALLOW="fd00::/8",
        OBSERA_AGENT_SERVER="https://other.example",
    )  # fmt: skip

    assert (str(read.allowed), read.server) == ("10.0.0.0/8, 192.168.0.0/16", "https://obsera.example")


def test_http_is_taken_on_this_machine_only(token_file: Path) -> None:
    local = ("http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000")

    assert [options(token_file, "--server", url).server for url in local] == list(local)
    with pytest.raises(AgentError, match="not encrypted"):
        options(token_file, "--server", "http://obsera.example")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (["--server", "obsera.example"], "--server"),
        (["--server", "https://user:pw@obsera.example"], "--server"),
        (["--server", "https://obsera.example/?a=b"], "--server"),
        (["--token-file", "/no/such/file"], "--token-file: /no/such/file cannot be read"),
        (["--allow", "example.com"], "--allow"),
        (["--kinds", "http,telepathy"], "--kinds: there is no kind telepathy"),
        (["--kinds", "heartbeat"], "--kinds"),
        (["--control", "127.0.0.1"], "--control"),
        (["--control", "ftp://x.example"], "--control"),
        (["--ca-file", "/no/such/file"], "--ca-file"),
        (["--ca-file", "/dev/null"], "--ca-file"),
        (["--buffer-mib", "0"], "--buffer-mib"),
        (["--buffer-mib", "many"], "--buffer-mib"),
        (["--tell-allow-list", "maybe"], "--tell-allow-list"),
    ],
)
def test_a_wrong_option_is_named(token_file: Path, wrong: list[str], named: str) -> None:
    with pytest.raises(AgentError, match=named):
        options(token_file, *wrong)


def test_missing_ones_are_named() -> None:
    with pytest.raises(AgentError, match="OBSERA_AGENT_TOKEN"):
        read_options(["--server", "https://obsera.example"], {})
    with pytest.raises(AgentError, match="OBSERA_AGENT_SERVER"):
        read_options([], {"OBSERA_AGENT_TOKEN": str(TOKEN)})


def test_no_message_shows_a_wrong_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("oba_secret")

    with pytest.raises(AgentError) as caught:
        options(path)

    assert "secret" not in str(caught.value)


def test_a_token_that_others_may_read_is_warned_of(token_file: Path) -> None:
    token_file.chmod(0o644)

    (warning,) = options(token_file).warnings

    assert warning.endswith(f"run: chmod 600 {token_file}")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], {"limited": False, "allow": None}),
        (["--tell-allow-list", "yes"], {"limited": False, "allow": None}),
        (["--allow", "10.0.0.0/8:443"], {"limited": True, "allow": None}),
        (["--allow", "10.0.0.0/8:443", "--tell-allow-list", "yes"], {"limited": True, "allow": ["10.0.0.0/8:443"]}),
    ],
)
def test_the_server_is_told_of_the_allow_list_what_the_operator_lets_it(
    token_file: Path, given: list[str], told: dict[str, object]
) -> None:
    assert options(token_file, "--server", "https://obsera.example", *given).limits() == told
