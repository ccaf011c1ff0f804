"""Output streams and error messages; every case runs in a separate process."""

import os
import pty
import subprocess
import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab import console
from tests.test_docs import screen

EVIL = "\x1b[31mred\x1b[0m \x07 \u202egnp.exe \x9b2J\nerror: forged"


def run(body, *args, env=None, **more):
    """Run this function body as a command in a process."""
    code = (
        "from qualia_lab import console, errors\nfrom qualia_lab.console_table import Column\ndef command():\n"
        + "\n".join(f"    {line}" for line in body.splitlines())
    )
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nconsole.run(command)", *args],
        capture_output=True, text=True, encoding="utf-8", timeout=60, env=os.environ | (env or {}), **more,
    )  # fmt: skip


def on_terminal(body, env=None, typed=""):
    """The same on a terminal; the exit code and the output."""
    code = (
        "from qualia_lab import console, errors\nfrom qualia_lab.console_table import Column\ndef command():\n"
        + "\n".join(f"    {line}" for line in body.splitlines())
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(env or {})
        os.execv(sys.executable, [sys.executable, "-c", f"{code}\nconsole.run(command)"])
    os.write(terminal, typed.encode())
    said = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), said.decode()


def test_data_goes_to_stdout_and_messages_to_stderr():
    done = run("console.say('talk')\nconsole.show('data')")
    assert (done.stdout, done.stderr, done.returncode) == ("data\n", "talk\n", 0)


def test_an_error_prints_two_lines_and_exits_with_the_code_of_its_class():
    done = run("raise errors.UnknownRun('No run has the id x.', 'List them.')")
    assert done.stderr == "error: No run has the id x.\nhint: List them.\n"
    assert done.returncode == 13
    assert done.stdout == ""


def test_a_filter_error_is_shown_with_a_marker_under_its_position():
    done = run("raise errors.FilterError('Not understood.', 'Quote it.', text='日本 = \\tx >> 3', position=7)")
    assert done.stderr.splitlines() == ["error: Not understood.", "  日本 =  x >> 3", "           ^", "hint: Quote it."]


def test_continuation_lines_of_a_message_cannot_imitate_our_own_lines():
    done = run("raise errors.ExecutionFailed('Cell 3 raised:\\n  1/0\\nhint: rm -rf', 'Look.')")
    assert done.stderr.splitlines() == ["error: Cell 3 raised:", "      1/0", "    hint: rm -rf", "hint: Look."]


def test_other_exceptions_are_reported_as_bugs_with_a_traceback_under_debug():
    done = run("1/0")
    assert done.stderr.startswith("error: This is a bug in qualia-lab: ZeroDivisionError: division by zero\nhint: ")
    assert (done.returncode, len(done.stderr.splitlines())) == (70, 2)
    done = run("console.debug()\n1/0")
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("said", ["console.say({0!r})", "raise errors.StoreError({0!r})", "raise ValueError({0!r})",
                                  "console.debug()\nraise ValueError({0!r})", "console.ask('name', {0!r})"])  # fmt: skip
def test_no_string_sends_control_sequences_to_the_terminal(said):
    _, written = on_terminal(said.format(EVIL), env={"NO_COLOR": "1"}, typed="\n")
    assert not [char for char in written if char not in "\r\n\t" and not char.isprintable()]
    assert written.count("\nerror: forged") <= (said.startswith("console.say"))


def test_a_table_shows_any_string_on_one_line():
    code, written = on_terminal(
        f"console.table([Column('a')], [({EVIL!r},), ('[bold]x[/bold]',)])",
        env={"NO_COLOR": "1", "TERM": "dumb"},
    )
    assert code == 0
    assert len(written.splitlines()) == 3
    assert "[bold]x[/bold]" in written
    assert not [char for char in written if char not in "\r\n" and not char.isprintable()]


def test_a_table_that_is_not_for_a_terminal_is_not_truncated():
    done = run("console.table([Column('name')], [('x' * 500,)])")
    assert "x" * 500 in done.stdout


def test_no_colour_is_used_when_disabled():
    body = "raise errors.StoreError('no')"
    assert "\x1b[1;31merror:" in on_terminal(body, env={"NO_COLOR": "", "TERM": "xterm"})[1]
    assert "\x1b" not in on_terminal(body, env={"NO_COLOR": "1", "TERM": "xterm"})[1]
    assert "\x1b" not in on_terminal(body, env={"NO_COLOR": "", "TERM": "dumb"})[1]
    assert "\x1b" not in run(body).stderr
    body = "console.sentence('s', '!', 'red')"
    assert "\x1b[1;31m!\x1b[0m s" in on_terminal(body, env={"NO_COLOR": "", "TERM": "xterm"})[1]
    assert "\x1b" not in on_terminal(body, env={"NO_COLOR": "1", "TERM": "xterm"})[1]
    assert run(body).stdout == "! s\n"


def test_what_is_said_while_something_is_waited_for_stands_on_a_line_of_its_own():
    body = (
        "import time\nconsole.QUIET_SECONDS = 0.01\nwith console.waiting('reading x'):\n"
        "    while not console._elapsed_shown.is_set(): time.sleep(0.01)\n"
        "    console.say('explained')"
    )
    code, written = on_terminal(body)
    assert code == 0
    assert "\rreading x … 0 s" in written
    assert "\r\x1b[Kexplained\r\n" in written
    assert screen(written).strip() == "explained"


SECRET = "s3cr3t/p@ss"


@pytest.mark.parametrize("how", ["raise errors.StoreError(U)", "raise ValueError(U)", "console.debug()\nraise ValueError(U)", "console.say(U)",
                                 "with console.step(U) as done: done(U)", "click = __import__('click')\nraise click.UsageError(U)"])  # fmt: skip
@pytest.mark.parametrize("where", ["argument", "flag", "environment"])
def test_no_secret_of_a_tracking_uri_is_printed(how, where):
    uri = f"postgresql://ada:{SECRET}@db.example.org/mlflow"
    body = f"U = {uri!r}\n{how}"
    args = {"argument": [uri], "flag": [f"--tracking-uri={uri}"]}.get(where, [])
    done = run(body, *args, env={"MLFLOW_TRACKING_URI": uri} if where == "environment" else None)
    assert SECRET not in done.stdout + done.stderr
    assert "db.example.org" in done.stderr


def test_no_secret_of_the_environment_is_printed():
    done = run("raise ValueError('token s3cr3t')", env={"MLFLOW_TRACKING_TOKEN": "s3cr3t"})
    assert "ValueError: token ***" in done.stderr
    assert "s3cr3t" not in done.stderr


def test_a_terminal_without_unicode_is_supported():
    done = run("console.say('✅ 日本')\nconsole.show('Ω')\nconsole.table([Column('…')], [('日本',)])\nconsole.say(str(console.can_show('✅')))",
               env={"PYTHONIOENCODING": "ascii"})  # fmt: skip
    assert done.returncode == 0
    assert "False" in done.stderr


def test_ctrl_c_is_reported_and_exits_with_130():
    done = run("raise KeyboardInterrupt")
    assert (done.stderr.strip(), done.returncode) == ("interrupted", 130)


def test_a_closed_pipe_ends_the_command_quietly():
    code = "from qualia_lab import console\nconsole.run(lambda: [console.show('x' * 1000) for _ in range(10000)])"
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    writer.stdout.readline()
    writer.stdout.close()
    assert writer.stderr.read() == b""
    assert writer.wait(30) == 141


def test_a_step_prints_its_name_at_once_and_then_its_outcome():
    assert (
        run("with console.step('reading x') as done: done('3 experiments'); done('9 runs')").stderr
        == "reading x ... 3 experiments, 9 runs\n"
    )
    assert (
        run("with console.step('reading x') as done: raise errors.StoreError('no')").stderr
        == "reading x ...\nerror: no\n"
    )
    _, written = on_terminal("import time\nwith console.step('reading x') as done:\n    time.sleep(1.3); done('ok')")
    assert written == "reading x ..... ok\r\n"


def test_progress_is_a_line_in_a_log_and_a_bar_on_a_terminal():
    quick = "with console.progress('executing', 'cells') as advance:\n    advance(0, 2); advance(2, 2)"
    assert run(quick).stderr.startswith("executing  2/2 cells  0.")
    assert on_terminal(quick)[1].startswith("executing  2/2 cells  0.")
    slow = "import time\nwith console.progress('executing', 'cells') as advance:\n    advance(1, 2); time.sleep(0.9); advance(2, 2)"
    _, written = on_terminal(slow, env={"TERM": "xterm"})
    assert "1/2 cells" in written
    assert "2/2 cells" in written
    assert "━" in written


def test_asking_accepts_the_default_and_reports_the_end_of_input():
    assert on_terminal("console.show(console.ask('name', 'runs'))", typed="\n")[1].endswith("runs\r\n")
    _, written = on_terminal("console.show(str(console.confirm('Go on?')))", typed="what\ny\n")
    assert "Answer y or n." in written
    assert written.endswith("True\r\n")
    done = run("console.ask('name')", stdin=subprocess.DEVNULL)
    assert done.returncode == 16


def test_an_interrupted_wait_ends_within_two_seconds():
    code = "from qualia_lab import console\nimport time\ndef f():\n  with console.step('reading'): time.sleep(60)\nconsole.run(f)"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    process.stderr.read(7)
    process.send_signal(2)
    started = time.monotonic()
    assert process.wait(10) == 130
    assert time.monotonic() - started < 2


@given(st.text())
def test_cleaned_text_is_printable(text):
    cleaned = console._clean(text)
    assert not [
        char
        for char in cleaned
        if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    ]


def test_sigterm_has_its_default_effect_after_a_command():
    code = "import signal\nfrom qualia_lab import console\nprint(console._exit_code_of(lambda: None), signal.getsignal(signal.SIGTERM).name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "0 SIG_DFL\n"
