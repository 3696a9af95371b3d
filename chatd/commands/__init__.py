"""The commands of `chatd`: one file for each group, over one way to reach the store."""
