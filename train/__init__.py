"""facescan-train: rebuilds, trains and exports the detectors that facescan runs."""
