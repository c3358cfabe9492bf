"""Measures how verdicts change when the same faces are turned, cut, framed, drawn over or saved in another way.

python -m tests.bench.geometry FOLDER [FOLDER ...] --csv table.csv
python -m tests.bench.geometry --help

A FOLDER holds pictures in folders named `real` and `fake`, or is an index: a CSV file with the columns path and label.
Each picture is changed in every way that `place.py` and `look.py` list, all files are scanned by one run of facescan,
and a table says how many verdicts each change turned. Pictures whose face is not found are left out. Changes use no
random numbers but fixed ones: two runs over the same pictures print the same table.
"""
