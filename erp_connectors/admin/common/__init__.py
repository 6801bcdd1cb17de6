"""What the pages of several areas share."""
