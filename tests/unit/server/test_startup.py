"""From a command line to a configuration, or to a message that names the line at fault."""

from fnmatch import fnmatch

import pytest

from shoal.node.server.config import Config
from shoal.node.server.startup import StartupStopped, load_config, parse_command_line


class MemoryFiles:
    """Files that are a dict."""

    def __init__(self, files: dict[str, str] | None = None, standard_input: str = "") -> None:
        self.files = files or {}
        self.input = standard_input

    def absolute(self, path: str) -> str:
        return path if path.startswith("/") else f"/home/{path}"

    def read(self, path: str) -> str:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory")
        return self.files[path]

    def matching(self, pattern: str) -> list[str]:
        return sorted(path for path in self.files if fnmatch(path, pattern)) or [pattern]

    def standard_input(self) -> str:
        return self.input


def start(*arguments: str, files: dict[str, str] | None = None, standard_input: str = "") -> Config:
    return load_config(parse_command_line(arguments), MemoryFiles(files, standard_input))


def failure(*arguments: str, files: dict[str, str] | None = None) -> str:
    with pytest.raises(StartupStopped) as stopped:
        start(*arguments, files=files)
    assert stopped.value.status == 1
    return stopped.value.text


def test_without_arguments_everything_is_at_its_default() -> None:
    config = start()
    assert (config.port, config.file, config.save) == (6379, None, ((3600, 1), (300, 100), (60, 10000)))


def test_options_win_over_standard_input_and_that_over_the_file() -> None:
    config = start(
        "redis.conf", "--port", "3", "-",
        files={"/home/redis.conf": "port 1\ndatabases 1\nmaxclients 1\n"},
        standard_input="port 2\ndatabases 2\n",
    )  # fmt: skip
    assert (config.port, config.databases, config.maxclients) == (3, 2, 1)
    assert config.file == "/home/redis.conf"


def test_a_directive_may_have_several_words_and_an_empty_one() -> None:
    config = start(
        "--save", "", "--client-output-buffer-limit", "pubsub", "1mb", "2mb", "3", "--port", "7000"
    )
    assert config.save == ()
    assert config.client_output_buffer_limit["pubsub"].hard_bytes == 1 << 20
    assert config.port == 7000


@pytest.mark.parametrize(
    "arguments",
    [
        ("--save", "--loglevel", "verbose"),
        ("--loglevel", "verbose", "--save"),
        ("--save ''", "--loglevel verbose"),
        ("loglevel", "verbose", "--save ''"),
    ],
)
def test_forms_of_option_that_redis_understands(arguments: tuple[str, ...]) -> None:
    config = load_config(
        parse_command_line(["redis.conf", *arguments]), MemoryFiles({"/home/redis.conf": ""})
    )
    assert (config.save, config.loglevel) == ((), "verbose")


def test_a_value_may_begin_with_hyphens() -> None:
    assert start("--proc-title-template", "--my--title", "--port", "1").proc_title_template == "--my--title"


def test_lines_add_up_where_a_directive_lists_and_replace_each_other_elsewhere() -> None:
    config = start("f", files={"/home/f": "save 900 1\nsave 300 10\nport 1\nPORT 2\n"})
    assert config.save == ((900, 1), (300, 10))
    assert config.port == 2


def test_includes_are_read_where_they_stand() -> None:
    files = {
        "/home/f": "port 1\ninclude /etc/*.conf\nmaxclients 9\n",
        "/etc/a.conf": "port 2\nmaxclients 2\n",
        "/etc/b.conf": "port 3\n",
    }
    config = start("f", files=files)
    assert (config.port, config.maxclients) == (3, 9)


def test_files_that_include_each_other_end_in_an_error() -> None:
    assert "include each other" in failure("f", files={"/home/f": "include /home/f\n"})


def test_renamed_commands_are_kept_in_order() -> None:
    config = start("f", files={"/home/f": 'rename-command FLUSHALL ""\nrename-command GET fetch\n'})
    assert config.renamed_commands == [("FLUSHALL", ""), ("GET", "fetch")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("foo bar", "Bad directive or wrong number of arguments"),
        ("port", "wrong number of arguments"),
        ('requirepass "abc', "Unbalanced quotes in configuration line"),
        ("loadmodule /lib/m.so", "Modules are compiled for Redis and cannot be loaded"),
        ("user alice on perhaps", "Error in user declaration 'perhaps': Syntax error"),
        ("user alice (~a", "Error in user declaration '(~a': Unmatched parenthesis in selector definition"),
        ("sentinel monitor a b 1 2", "sentinel directive while not in sentinel mode"),
        ("include /nowhere", "Can't open the included file: No such file or directory"),
        ("appendonly perhaps", "argument must be 'yes' or 'no'"),
    ],
)
def test_a_bad_line_is_named_with_its_file_number_and_reason(line: str, reason: str) -> None:
    message = failure("f", files={"/home/f": f"# one\n\n{line}\nport 1\n"})
    assert message == (
        "*** FATAL CONFIG FILE ERROR (Shoal 0.1.0) ***\n"
        "Reading the configuration file '/home/f', at line 3\n"
        f">>> '{line}'\n{reason}"
    )


def test_a_bad_option_is_shown_as_the_line_it_stands_for() -> None:
    assert '>>> \'port "6379" "6380"\'\nwrong number of arguments' in failure("--port", "6379", "6380")
    assert ">>> 'port \"--bla\"'\n" in failure("--port", "--bla", "--loglevel", "verbose")


def test_directives_of_old_versions_are_skipped() -> None:
    assert start("--lua-replicate-commands", "yes").port == 6379


def test_a_missing_file_and_a_contradiction_stop_the_start() -> None:
    assert failure("f") == "Fatal error, can't open config file '/home/f': No such file or directory"
    message = failure("--cluster-enabled", "yes", "--replicaof", "127.0.0.1", "1")
    assert "replicaof directive not allowed in cluster mode" in message


@pytest.mark.parametrize(("word", "status"), [("-v", 0), ("--version", 0), ("--help", 0), ("-h", 0)])
def test_questions_are_answered_instead_of_starting(word: str, status: int) -> None:
    with pytest.raises(StartupStopped) as stopped:
        parse_command_line([word])
    assert stopped.value.status == status


def test_jobs_of_other_programs_are_refused() -> None:
    for word in ("--test-memory", "--sentinel", "--check-system"):
        assert word.strip("-") in failure(word)
