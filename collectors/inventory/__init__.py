"""Exports of inventories, read without a network: one file per format, and what they share.

cells.py      what a cell says: numbers in any country's way of writing, yes and no, times
grids.py      rows of cells with their places
workbooks.py  xlsx
separated.py  CSV
files.py      from files to grids
tables.py     rows by the names of their columns
estate.py     names that stay apart, units, and what is said of rows that were left out
"""
