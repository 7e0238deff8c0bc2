"""What the tests of the program share: running it, temporary folders, and checks that are counted.

Every script is called as `SCRIPT NIBBLE SHARED_DATA_OR_EMPTY`, prints how many checks ran, and ends with status 1 and every
failed check's text when one failed.
"""
import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile

if len(sys.argv) < 2:
    sys.exit("usage: %s NIBBLE [SHARED_DATA]" % sys.argv[0])
NIBBLE = os.path.abspath(sys.argv[1])
SHARED = sys.argv[2] if len(sys.argv) > 2 else ""
FOLDER = tempfile.mkdtemp(prefix="nibble_cli_")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}

_ran = 0
_failed = []


def path(*parts):
    return os.path.join(FOLDER, *parts)


def write(name, content):
    """Writes a file in the temporary folder and returns its path."""
    target = path(name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as f:
        f.write(content.encode() if isinstance(content, str) else content)
    return target


def read(name):
    with open(name if os.path.isabs(name) else path(name), "rb") as f:
        return f.read()


class Result:
    def __init__(self, arguments, status, out, err):
        self.arguments, self.status, self.out, self.err = arguments, status, out, err

    def __str__(self):
        return "nibble %s\n    status %s\n    stdout: %s\n    stderr: %s" % (
            " ".join(map(repr, self.arguments)), self.status, self.out[-600:], self.err[-1200:])


def run(*arguments, timeout=60, **options):
    """Runs nibble in the temporary folder, without a terminal."""
    arguments = [str(a) for a in arguments]
    done = subprocess.run([NIBBLE] + arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          cwd=options.pop("cwd", FOLDER), env=options.pop("env", ENVIRONMENT), timeout=timeout, **options)
    return Result(arguments, done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def check(condition, what):
    """Counts one check; a failed one is printed at the end."""
    global _ran
    _ran += 1
    if not condition:
        _failed.append(str(what))
    return bool(condition)


def succeeds(*arguments, **options):
    result = run(*arguments, **options)
    check(result.status == 0, "should succeed:\n  %s" % result)
    return result


def refused(status, *arguments, says=(), **options):
    """Checks that nibble ends with `status` and one `nibble: error:` line, the last one of stderr, that contains every text
    of `says`, and that nothing was printed on stdout unless `out` allows it."""
    allow_output = options.pop("out", False)
    result = run(*arguments, **options)
    check(result.status == status, "status %d was expected:\n  %s" % (status, result))
    lines = result.err.splitlines()
    errors = [line for line in lines if line.startswith("nibble: error: ")]
    check(len(errors) == 1 and lines and lines[-1] == errors[0], "one error line, the last one, was expected:\n  %s" % result)
    for text in [says] if isinstance(says, str) else says:
        check(errors and text in errors[0], "the error should say %r:\n  %s" % (text, result))
    check(allow_output or result.out == "", "an error should print nothing on stdout:\n  %s" % result)
    check("\x1b" not in result.err + result.out, "escape bytes in the output:\n  %s" % result)
    return result


def nothing_left(why, folder=None):
    """No temporary file of ours in the folder or below it."""
    left = [os.path.join(at, f) for at, _, files in os.walk(folder or FOLDER) for f in files if ".nibble-tmp." in f]
    check(not left, "%s left %s behind" % (why, left))


def number(text, pattern):
    """The first group of `pattern` in `text` as a float; fails the check when it is not there."""
    found = re.search(pattern, text)
    check(found, "no %r in:\n%s" % (pattern, text))
    return float(found.group(1).replace(",", "")) if found else float("nan")


def shared(*parts):
    """A file of the shared networks and data, or None, said once, where they are absent."""
    if SHARED and os.path.exists(os.path.join(SHARED, *parts)):
        return os.path.join(SHARED, *parts)
    print("shared data absent: the part with %s is left out" % "/".join(parts))
    return None


def finish():
    if _failed:
        print("%d of %d checks failed:" % (len(_failed), _ran))
        for text in _failed:
            print("- " + text)
        sys.exit(1)
    if not _ran:
        sys.exit("no check ran")
    print("%d checks passed" % _ran)
