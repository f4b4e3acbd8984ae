"""What several tests share: an exact list to copy, a warehouse in memory, answers in any order."""
