"""Reads options from the command line, the environment and configuration files, and checks them."""
