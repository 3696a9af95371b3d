"""Programs and libraries for people who chat. Imports protocol."""
