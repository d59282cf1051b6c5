"""What the command line says when something goes wrong."""

import errno

import pytest

from model.errors import ConfigError, exit_code


def raising(error: Exception):
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConfigError("--lr is wrong."), "error: --lr is wrong."),
        (PermissionError(errno.EACCES, "Permission denied", "a/b.json"), "error: a/b.json: Perm"),
        (OSError(errno.ENOSPC, "No space left on device"), "error: No space left on device."),
    ],
)
def test_what_the_user_can_mend_is_one_sentence(error, sentence, capsys):
    assert exit_code(raising(error)) == 2
    said = capsys.readouterr().err
    assert said.startswith(sentence)
    assert said.count("\n") == 1


@pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), OSError("odd")])
def test_anything_else_is_left_to_others(error):
    with pytest.raises(OSError, match=error.args[-1]):
        exit_code(raising(error))
