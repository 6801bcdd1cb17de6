"""A pipelined SFTP version 3 client on paramiko's SSH: many files for the round trips of one. Knows no Django."""
