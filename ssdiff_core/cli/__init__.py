"""The command line `ssdiff`: one module for each command."""
