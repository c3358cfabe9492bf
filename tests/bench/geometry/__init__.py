"""Measures how verdicts change when the same faces are turned, cut, framed, drawn over or saved in another way.

python -m tests.bench.geometry FOLDER [FOLDER ...] --csv table.csv
python -m tests.bench.geometry --help

A FOLDER holds pictures in folders named `real` and `fake`, or is an index: a CSV file with the columns path and label.
A first run of facescan chooses the pictures that the model is right about as they are: the others can lose nothing.
Each of those is changed in every way that `place.py` and `look.py` list, a second run scans all files, and a table says
how many verdicts each change turned and how far p_fake moved. Pictures in which no face is found are left out. Random
numbers are always the same ones: two runs over the same pictures print the same table.
"""
