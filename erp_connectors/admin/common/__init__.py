"""Parts that the pages of several areas share."""
