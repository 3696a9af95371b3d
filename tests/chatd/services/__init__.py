"""Tests of the services, file for file."""
