"""Coverage-guided fuzzing of what looks at a stranger's bytes, with atheris (libFuzzer for Python; Linux).

    pip install -e '.[dev,heif,fuzz]'
    python -m tests.fuzz --minutes 60                   # scanner.imaging.decode.decode; --jobs 4 for four processes
    python -m tests.fuzz --minutes 10 --target header   # read_header and orientation, which are all Python
    python -m tests.fuzz --minutes 10 --target provenance   # what files say of themselves
    python -m tests.fuzz --replay FILE ...              # what becomes of an input

Corpus and findings are kept in runs/fuzz and taken up by the next run; `small/` there has one small input of each kind
of finding. A finding that is fixed becomes an ordinary test, its input built in code.
"""
