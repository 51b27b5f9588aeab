"""How a machine joins a lab by one line: the line, the first words of a connection, and the joining machine's end.

The lab's end is the process `gate`. Neither the embedded PostgreSQL nor the embedded Redis speaks TLS, so both ends
bring it: one port, one certificate that the line pins, one secret.
"""
