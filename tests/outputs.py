"""What earlier scans may have left where a test is to write: facescan replaces no other files."""

from __future__ import annotations

from scanner.output.formats.rows import COLUMNS

# Any output with rows may be replaced by any other.
YESTERDAY = f"{','.join(COLUMNS)}\nyesterday.jpg,no_face,,0,60,44,jpeg,1234,{'ab' * 32},\n"
OLD_SUMMARY = "# facescan\n\n| | |\n|---|---|\n| fake | 1 |\n"
OLD_REPORT = "<!doctype html>\n<html lang=en>\n<title>facescan report</title>\n"
