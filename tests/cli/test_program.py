import argparse
import subprocess
import sys

import pytest

from uniface_mx.cli.program import DONE, INTERRUPTED, PARTLY, TROUBLE, at_least, program, run, within
from uniface_mx.errors import UnifaceError


@pytest.mark.parametrize('answer, status', [(None, DONE), (DONE, DONE), (PARTLY, PARTLY)])
def test_what_the_work_returns(answer, status, capsys):
    assert run('tool', lambda: answer) == status
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize(
    'error, status, line',
    [
        (UnifaceError('a.jpg: broken'), TROUBLE, 'tool: a.jpg: broken\n'),
        (FileNotFoundError(2, 'No such file', 'b.txt'), TROUBLE, "tool: [Errno 2] No such file: 'b.txt'\n"),
        (KeyboardInterrupt(), INTERRUPTED, 'tool: interrupted\n'),
    ],
)
def test_what_kept_it_from_its_work_is_one_line(error, status, line, capsys):
    def work():
        raise error

    assert run('tool', work) == status
    assert capsys.readouterr().err == line


def test_a_mistake_in_the_program_is_no_trouble_of_the_user():
    with pytest.raises(ZeroDivisionError):
        run('tool', lambda: 1 // 0)


def test_a_reader_that_has_enough():
    code = (
        'import sys; from uniface_mx.cli.program import run; '
        "sys.exit(run('tool', lambda: [print(i) for i in range(10**6)] and 0))"
    )
    tool = subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert tool.stdout.readline() == '0\n'
    tool.stdout.close()
    assert tool.wait(60) == TROUBLE and tool.stderr.read() == ''


def test_a_program_is_made_of_its_work_and_its_options(capsys):
    def add_options(parser):
        parser.add_argument('status', type=int)

    main = program('tool', 'what it does', lambda options: options.status, add_options, partly='half is done')
    assert main(['1']) == PARTLY
    with pytest.raises(SystemExit) as left:
        main(['--help'])
    assert left.value.code == 0 and '1 where half is done' in capsys.readouterr().out


def test_options_that_contradict_each_other_end_with_the_usage(capsys):
    with pytest.raises(SystemExit) as left:
        program('tool', '', lambda options: options.error('one goes without the other'))([])
    assert left.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == 'tool: error: one goes without the other'


def test_numbers_of_options():
    assert at_least(1)('3') == 3 and at_least(0.5, float)('0.5') == 0.5
    for text in ('0', '-1'):
        with pytest.raises(argparse.ArgumentTypeError, match=f'{text} is not a number from 1 on'):
            at_least(1)(text)
    for text in ('inf', 'nan', '0.4'):
        with pytest.raises(argparse.ArgumentTypeError):
            at_least(0.5, float)(text)
    with pytest.raises(ValueError):
        at_least(1)('1.5')
    assert [within(0, 1, float)(text) for text in ('0', '0.3', '1')] == [0, 0.3, 1]
    for text in ('-0.1', '1.1', 'nan', 'inf'):
        with pytest.raises(argparse.ArgumentTypeError, match=f'{text} is not a number from 0 to 1'):
            within(0, 1, float)(text)
