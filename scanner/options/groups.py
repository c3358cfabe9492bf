"""Names the headings of `facescan --help`, and the options below each of them."""

from __future__ import annotations

# Heading -> names of its options, in the order in which the help shows them.
OPTION_GROUPS: dict[str, str] = {
    "Input": "files-from null include exclude force-exclude by max-depth hidden follow shard",
    "What is judged": "model threshold fpr region min-face frames",
    "Limits": "max-bytes max-pixels timeout max-memory",
    "Output": "out format only excel summary report force quiet verbose",
    "Evidence": "explain ela ela-dir",
    "Speed": "device workers batch-size engine ray-address",
    "Cache": "cache no-cache cache-info cache-clear",
    "Exit code and configuration": "fail-on exit-zero exit-code exit-code-errors baseline allow-empty config isolated",
    "Information": "list-models version help",
}
